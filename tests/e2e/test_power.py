"""Real firmware, switched on and off by the drivers through emulated BMCs."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ironwake_controller.power.job import Workers
from ironwake_lab import MachineSpec, Rack, RackSpec
from ironwake_lab.machine import Machine
from ironwake_testing import bmc
from ironwake_testing.bmc import PASSWORD, USER
from tests.controller.appliance import MAC, Appliance

pytestmark = [pytest.mark.root, pytest.mark.qemu]

FIRMWARE_SECONDS = 600.0  # a loaded host is slow
POWER = "/v1/machines/node1/power"
_TRIES = r">>Start (PXE) over IPv4|BdsDxe: failed to load Boot[0-9A-F]{4} .(UEFI Misc Device)"


@contextlib.contextmanager
def _scene(folder: Path) -> Iterator[tuple[Rack, Machine, Appliance]]:
    """A machine that has its disk first, as servers in operation have, and a controller."""
    spec = MachineSpec("node1", MAC, memory_mb=512, disk_first=True)
    with Rack.up(RackSpec(f"t{secrets.token_hex(4)}", (spec,)), folder / "rack") as rack:
        appliance = Appliance(folder / "state", hands=Workers(120))
        try:
            appliance.enrol()
            yield rack, rack.machine("node1"), appliance
        finally:
            appliance.close()


def _first_choice(machine: Machine, since: int) -> str:
    """What the firmware tried to boot first, by its own word on the serial line."""
    found = machine.wait_serial(_TRIES, FIRMWARE_SECONDS, since)
    return "network" if found.group(1) else "disk"


def _switch_through(machine: Machine, appliance: Appliance, driver: dict[str, Any]) -> None:
    """Armed: from the network; by itself: from its disk again; and off, at once."""
    appliance.good("PUT", POWER, driver)
    assert appliance.good("GET", f"{POWER}/status")["state"] == "off"
    appliance.deploy()
    machine.wait_on(FIRMWARE_SECONDS)
    assert _first_choice(machine, 0) == "network"
    assert appliance.good("GET", f"{POWER}/status")["state"] == "on"
    appliance.good("POST", f"{POWER}/off")
    assert not machine.is_on
    mark = machine.serial_mark()
    appliance.good("POST", f"{POWER}/on")
    assert _first_choice(machine, mark) == "disk"
    mark = machine.serial_mark()
    appliance.good("POST", f"{POWER}/boot-network")
    appliance.good("POST", f"{POWER}/cycle")
    assert _first_choice(machine, mark) == "network"
    appliance.good("POST", f"{POWER}/off")
    assert appliance.good("GET", f"{POWER}/status")["state"] == "off"


def test_redfish_switches_a_real_machine(tmp_path: Path) -> None:
    """sushy against sushy-tools: arming makes it boot from the network, once."""
    with _scene(tmp_path) as (_, machine, appliance), bmc.redfish(tmp_path, machine) as made:
        account = {"address": made.url, "user": USER, "password": PASSWORD, "ca": made.ca}
        _switch_through(machine, appliance, {"driver": "redfish", "settings": account})
        assert made.systems.boots == ["Pxe", "Hdd", "Pxe"]


def test_ipmi_switches_a_real_machine(tmp_path: Path) -> None:
    """pyghmi against pyghmi's own BMC: the same."""
    with (
        _scene(tmp_path) as (rack, machine, appliance),
        bmc.ipmi(tmp_path, str(rack.directory), "node1") as made,
    ):
        account = {"address": made.address, "user": USER, "password": PASSWORD}
        _switch_through(machine, appliance, {"driver": "ipmi", "settings": account})
        assert made.deeds[:2] == ["once:network", "on:network"]
