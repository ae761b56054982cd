"""docs/power.md: its webhook is taken, and its table is what the drivers say of themselves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ironwake_cli import power_settings
from ironwake_controller.power import drivers
from ironwake_controller.power.driver import Operation
from ironwake_testing.tree import blocks, read

TEXT = read("docs", "power.md")
# The least that each driver wants.
LEAST: dict[str, dict[str, Any]] = {
    "redfish": {"address": "10.0.0.7"},
    "ipmi": {"address": "10.0.0.9"},
}


def test_the_webhook_that_is_shown_is_taken(tmp_path: Path) -> None:
    """Copied into a file, it can what its calls say."""
    (shown,) = (body for kind, body in blocks(TEXT) if kind == "yaml")
    file = tmp_path / "pdu.yaml"
    file.write_text(shown)
    webhook = drivers.find("webhook")
    able = webhook.can(drivers.read(webhook, power_settings.read(file)))
    assert able == {Operation.ON, Operation.OFF, Operation.CYCLE, Operation.STATUS}


def test_the_table_is_what_the_drivers_can() -> None:
    """A row for each, a tick for each operation."""
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|(.*)\|$", TEXT, re.MULTILINE)
    table = {name: cells.split("|") for name, cells in rows if cells.count("|") == 4}
    assert list(table) == [driver.name for driver in drivers.DRIVERS]
    for driver in drivers.DRIVERS:
        if driver.name == "webhook":
            continue
        able = driver.can(drivers.read(driver, LEAST.get(driver.name, {})))
        ticked = {
            one for one, cell in zip(Operation, table[driver.name], strict=True) if "✓" in cell
        }
        assert ticked == able
