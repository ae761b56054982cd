"""The firmware's boot order after an installation that is told to change it, by real efibootmgr."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ironwake_testing.scene import BOOT_SECONDS, DEPLOY_SECONDS, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu, pytest.mark.deep]

PROFILES = {
    wanted: f"release: debian-12-cloud\nmethod: archive\nboot_order: {wanted}\n"
    for wanted in ("disk-first", "network-first")
}


@pytest.mark.parametrize("wanted", PROFILES)
def test_the_boot_order_is_what_the_profile_says(wanted: str, store: Path, tmp_path: Path) -> None:
    """One entry more, first or behind the network's; and the next reset goes by that order."""
    spec = node(1)
    with scene(tmp_path, spec, profiles=PROFILES, artifacts=store) as there:
        there.enrol(spec)
        deployment = there.deploy(spec.name, wanted)
        there.wait_kernel(deployment)
        machine = there.rack.machine(spec.name)
        before = machine.boot_order
        there.succeed(deployment)
        ours = next(number for number in machine.boot_order if number not in before)
        others = [number for number in machine.boot_order if number != ours]
        assert sorted(others) == sorted(before)
        mark = machine.serial_mark()
        machine.reset()
        machine.wait_serial("login:", BOOT_SECONDS, since=mark)
        text = machine.serial_text(mark)
        assert re.search(rf'starting Boot{ours:04X} "Ironwake" from HD', text)
        assert ("Start PXE" in text) == (wanted == "network-first")
        assert (machine.boot_order[0] == ours) == (wanted == "disk-first")
        if wanted == "disk-first":
            assert others == list(before)


def test_an_entry_that_is_lost_is_made_again(store: Path, tmp_path: Path) -> None:
    """NVRAM as new before the first start: found by \\EFI\\BOOT, and then it has a name again."""
    spec = node(1)
    with scene(tmp_path, spec, artifacts=store) as there:
        there.enrol(spec)
        deployment = there.deploy(spec.name)
        there.appliance.wait_event(
            deployment, lambda event: event["kind"] == "installed", DEPLOY_SECONDS
        )
        machine = there.rack.machine(spec.name)
        machine.power_off()
        machine.replace_board(spec.uuid)  # the same identity: only NVRAM is another one
        assert "Ironwake" not in machine.boot_entries.values()
        machine.power_on()
        there.succeed(deployment)
        number = {name: one for one, name in machine.boot_entries.items()}["Ironwake"]
        assert number not in machine.boot_order
