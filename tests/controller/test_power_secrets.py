"""Secrets of power drivers: sealed, for one machine, and said nowhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironwake.errors import BrokenError
from ironwake_controller.power import drivers
from ironwake_controller.power.job import Workers
from ironwake_controller.safe import Safe, hide
from ironwake_testing import bmc
from ironwake_testing.switched import Plug
from tests.controller.appliance import Opened
from tests.controller.equipped import BMC, CANARY, POWER, Hands, lines, settle


def test_secrets_open_for_their_machine_and_key_alone(tmp_path: Path) -> None:
    """Not with another key, nor under the name of another machine."""
    safe = Safe(tmp_path / "a.key")
    sealed = safe.seal({"password": CANARY}, "node1")
    assert Safe(tmp_path / "a.key").open(sealed, "node1") == {"password": CANARY}
    for other, name in ((Safe(tmp_path / "b.key"), "node1"), (safe, "node2")):
        with pytest.raises(BrokenError, match="can't be opened") as caught:
            other.open(sealed, name)
        assert "bring the key back" in caught.value.next_step


def test_a_lost_key_blocks_no_deployment(opened: Opened, tmp_path: Path, hands: Hands) -> None:
    """The machine is armed; that it can't be switched on is a line with what to do."""
    first = opened(tmp_path, hands=hands)
    first.enrol()
    first.good("PUT", POWER, BMC)
    first.close()
    (tmp_path / "secrets" / "power.key").unlink()
    second = opened(tmp_path, hands=hands)
    assert second.deploy()["state"] == "armed"
    assert "ironwake power node1 set" in lines(second)[-1]
    assert second.call("POST", f"{POWER}/on").status_code == 503


def test_texts_lose_secrets_in_every_form() -> None:
    """As they are, as in a URL, in JSON, and as basic authentication."""
    said = f'{CANARY} canary-0a1b2c%26d%20e "{CANARY}" bWU6Y2FuYXJ5LTBhMWIyYyZkIGU='
    assert hide(said, (CANARY,), "me") == '*** *** "***" ***'


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Every record of every logger, from debug upwards."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not record.name.startswith(("werkzeug", "sushy_tools")):  # the BMC's own
                lines.append(record.getMessage())

    root, keep = logging.getLogger(), Keep()
    before = root.level
    root.addHandler(keep)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(keep)
    root.setLevel(before)


def test_no_secret_leaves_by_any_way(
    opened: Opened, tmp_path: Path, logged: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """Not in a reply, an event, the metrics, a log or the files: whatever the BMC is and says."""
    (tmp_path / "bmc").mkdir()
    workers = Workers(60)
    appliance = opened(tmp_path / "state", hands=workers)
    appliance.enrol()
    said: list[str] = []
    with bmc.redfish(tmp_path / "bmc", Plug(), tls=False) as made:
        hook = {
            "on": {"url": f"{made.url}/${{key}}", "method": "GET"},
            "headers": {"x-key": CANARY},
            "secrets": {"key": CANARY},
            "user": "me",
            "password": CANARY,
        }
        for driver, settings in (
            ("redfish", {"address": made.url, "user": bmc.USER, "password": CANARY}),
            ("redfish", {"address": "127.0.0.1:1", "user": "me", "password": CANARY}),
            ("ipmi", {"address": "127.0.0.1:1", "user": "me", "password": CANARY}),
            ("webhook", hook),
        ):
            body = {"driver": driver, "settings": settings}
            for method, path, document in (
                ("PUT", POWER, body),
                ("GET", POWER, None),
                ("POST", f"{POWER}/on", {}),
                ("GET", f"{POWER}/status", None),
                ("GET", "/v1/machines/node1", None),
                ("GET", "/metrics", None),
            ):
                said.append(appliance.call(method, path, document).text)
            made_id = appliance.deploy()["id"]
            said.append(appliance.call("POST", f"/v1/deployments/{made_id}/cancel", {}).text)
    settle(appliance)
    said += [str(event) for event in appliance.history()]
    captured = capfd.readouterr()
    said += [captured.out, captured.err, *logged]
    words = drivers.secret_words(drivers.find("redfish"), {"password": CANARY})
    assert [text for text in said if hide(text, words, "me") != text] == []
    files = [path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert [1 for raw in files if CANARY.encode() in raw] == []
    assert sum("refuses this user and password" in text for text in said) >= 2
