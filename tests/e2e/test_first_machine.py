"""The first machine: from its power button to a healthy Debian, and then never touched again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironwake_testing.scene import BOOT_SECONDS, Scene, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]

# What every deployment by archive goes through, in this order.
HOPS = [
    "armed",
    "offered",
    "loader",
    "kernel",
    "answers",
    "installing",
    "installed",
    "first_boot",
    "healthy",
    "succeeded",
]
# The GPT's two copies: protective MBR, header and entries, and the same at the end.
TABLE_BYTES = 34 * 512


@pytest.fixture(scope="module")
def orders() -> list[tuple[int, ...]]:
    """The firmware's boot order when the ramdisk's kernel was fetched."""
    return []


@pytest.fixture(scope="module")
def deployed(
    store: Path, tmp_path_factory: pytest.TempPathFactory, orders: list[tuple[int, ...]]
) -> Iterator[tuple[Scene, str]]:
    """One UEFI machine, enrolled, deployed, woken, and installed."""
    machine = node(1)
    with scene(tmp_path_factory.mktemp("first"), machine, artifacts=store) as there:
        there.enrol(machine)
        deployment = there.deploy(machine.name)
        there.wait_kernel(deployment)
        orders.append(there.rack.machine(machine.name).boot_order)
        there.succeed(deployment)
        yield there, deployment


def _tables(disk: Path) -> tuple[bytes, bytes]:
    with disk.open("rb") as file:
        first = file.read(TABLE_BYTES)
        file.seek(-TABLE_BYTES, 2)
        return first, file.read()


def test_the_machine_becomes_healthy_by_itself(deployed: tuple[Scene, str]) -> None:
    """Woken by a magic packet, installed by archive, rebooted in the same process, healthy."""
    there, deployment = deployed
    states = list(dict.fromkeys(event["state"] for event in there.events(deployment)))
    assert [state for state in states if state in HOPS] == HOPS
    assert there.rack.machine("node1").is_on


def test_every_hop_stands_in_the_timeline_with_its_time(deployed: tuple[Scene, str]) -> None:
    """Whoever asks later can see when each hop happened, also those that move no state."""
    there, deployment = deployed
    events = there.events(deployment)
    times = [event["at"] for event in events]
    assert times == sorted(times)
    kinds = {event["kind"] for event in events}
    assert {"wake", "offered", "loader", "script", "kernel", "initrd", "archive"} <= kinds
    assert {"claimed", "facts", "progress", "installed", "healthy"} <= kinds


def test_a_proxy_lends_no_address(deployed: tuple[Scene, str]) -> None:
    """The address is the router's: it knows the machine, and our side keeps no lease."""
    there, _ = deployed
    assert "52:54:00:77:00:10" in there.rack.router.leases.read_text()
    assert not list(there.state.glob("*lease*"))


def test_the_boot_order_stays_as_it_was(
    deployed: tuple[Scene, str], orders: list[tuple[int, ...]]
) -> None:
    """The disk gets an entry of its own, is started by it once, and the order is as before."""
    machine = deployed[0].rack.machine("node1")
    assert re.search(r'starting Boot[0-9A-F]{4} "Ironwake" from HD', machine.serial_text())
    assert len(orders[0]) > 1
    assert machine.boot_order == orders[0]


@pytest.mark.parametrize("boots", [1, pytest.param(2, marks=pytest.mark.deep)])
def test_later_boots_come_up_from_the_disk_and_nothing_is_written_or_said(
    deployed: tuple[Scene, str], boots: int
) -> None:
    """PXE first in the boot order, resets: silence on the wire, no claim, the same table."""
    there, deployment = deployed
    machine = there.rack.machine("node1")
    before, tables = there.events(deployment), _tables(machine.disk)
    for _ in range(boots):
        mark = machine.serial_mark()
        with there.rack.capture() as frames:
            machine.reset()
            machine.wait_serial("login:", BOOT_SECONDS, since=mark)
        assert "Start PXE over IPv4" in machine.serial_text(mark)
        assert not [frame for frame in there.ours(frames.all) if frame.udp_ports]
        assert _tables(machine.disk) == tables
    claims = [event for event in there.events(deployment) if event["kind"] == "claimed"]
    assert len(claims) == 1
    assert there.events(deployment) == before
