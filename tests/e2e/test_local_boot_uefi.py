"""Every way to the disk under edk2, with Secure Boot and without, network first.

What the disk writes tells who started it: its GRUB's `cmdpath`, empty where the network's GRUB ran
the disk's configuration, and `lockdown=y` under Secure Boot.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironwake.localboot import Rung
from ironwake_testing.disks import BOOTED, write_uefi
from ironwake_testing.scene import BOOT_SECONDS, Scene, node, scene
from tests.e2e.rungs import climb

pytestmark = [pytest.mark.root, pytest.mark.qemu]

_SMALL = {"disk_bytes": 64 << 20, "memory_mb": 512}
OFF = node(1, firmware="uefi", **_SMALL)
ON = node(2, firmware="uefi-secureboot", **_SMALL)
ROM = node(3, firmware="uefi-ipxe", **_SMALL)
OFF_DISK_FIRST = node(4, firmware="uefi", disk_first=True, **_SMALL)
ON_DISK_FIRST = node(5, firmware="uefi-secureboot", disk_first=True, **_SMALL)
MACHINES = (OFF, ON, ROM, OFF_DISK_FIRST, ON_DISK_FIRST)
STRANGER = node(6, firmware="uefi", **_SMALL)
_OURS, _REMOVABLE = "cmdpath=(hd0,gpt1)/EFI/debian", "cmdpath=(hd0,gpt1)/EFI/BOOT"


@pytest.fixture(scope="module")
def there(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Machines with disks that boot, all but one enrolled, and none of them armed."""
    folder = tmp_path_factory.mktemp("rungs")
    with scene(folder, *MACHINES, STRANGER, artifacts=store) as there:
        for machine in (*MACHINES, STRANGER):
            write_uefi(there.rack.machine(machine.name).disk, store)
        for machine in MACHINES:
            there.enrol(machine)
        yield there


@pytest.mark.deep
@pytest.mark.parametrize(("name", "lockdown"), [(OFF.name, ""), (ON.name, "y")], ids=["off", "on"])
def test_silence(there: Scene, name: str, lockdown: str) -> None:
    """The firmware asks in vain for a minute, and goes on to the disk; not a packet was ours.

    Nor for a machine beside it that nobody has enrolled.
    """
    own, stranger = (there.rack.machine(one) for one in (name, STRANGER.name))
    before = stranger.disk_sha256()
    with there.rack.capture() as frames:
        stranger.power_on()
        try:
            boot = climb(there, name, Rung.SILENCE)
            stranger.wait_serial(BOOTED, BOOT_SECONDS)
        finally:
            stranger.power_off()
    assert stranger.disk_sha256() == before
    for machine, text in ((own, boot.text), (stranger, stranger.serial_text())):
        assert "Start PXE over IPv4" in text
        assert any(frame.udp_ports == (68, 67) for frame in frames.sent_by(machine.mac))
    assert there.said(frames.all) == []
    assert boot.line.endswith(f"{_REMOVABLE} lockdown={lockdown}.")
    known = {one["name"] for one in there.appliance.api("GET", "/v1/machines")["items"]}
    assert known == {one.name for one in MACHINES}
    assert there.appliance.api("GET", "/v1/deployments")["items"] == []


@pytest.mark.parametrize(
    ("name", "lockdown"),
    [(OFF_DISK_FIRST.name, ""), pytest.param(ON_DISK_FIRST.name, "y", marks=pytest.mark.deep)],
    ids=["off", "on"],
)
def test_boot_order(there: Scene, name: str, lockdown: str) -> None:
    """With the disk first in the firmware's order, the network is not even asked."""
    boot = climb(there, name, Rung.BOOT_ORDER)
    assert "Start PXE" not in boot.text
    assert boot.said == []
    assert boot.line.endswith(f"lockdown={lockdown}.")


def test_ipxe_exit(there: Scene) -> None:
    """iPXE returns an error, and the firmware starts its next option."""
    boot = climb(there, OFF.name, Rung.IPXE_EXIT)
    assert "snponly.efi" in boot.text
    assert "SAN device" not in boot.text
    assert boot.line.endswith(f"{_REMOVABLE} lockdown=.")


def test_sanboot(there: Scene) -> None:
    """iPXE starts the vendor's loader on the ESP."""
    boot = climb(there, OFF.name, Rung.SANBOOT)
    assert r"Booting \EFI\debian\shimx64.efi from SAN device" in boot.text
    assert boot.line.endswith(f"{_OURS} lockdown=.")


@pytest.mark.deep
@pytest.mark.parametrize("rung", [Rung.IPXE_EXIT, Rung.SANBOOT])
def test_ipxe_in_the_card(there: Scene, rung: Rung) -> None:
    """The same scripts in an option ROM of 2019, which finds no disk, but goes on as well."""
    boot = climb(there, ROM.name, rung)
    assert "snponly.efi" not in boot.text
    assert boot.line.endswith("lockdown=.")


@pytest.mark.parametrize(
    ("name", "lockdown"),
    [pytest.param(OFF.name, "", marks=pytest.mark.deep), (ON.name, "y")],
    ids=["off", "on"],
)
def test_grub_chain(there: Scene, name: str, lockdown: str) -> None:
    """The network's GRUB starts the disk's shim, which finds its own GRUB, verified or not."""
    boot = climb(there, name, Rung.GRUB_CHAIN)
    assert boot.line.endswith(f"{_OURS} lockdown={lockdown}.")


@pytest.mark.parametrize(
    ("name", "lockdown"),
    [pytest.param(OFF.name, "", marks=pytest.mark.deep), (ON.name, "y")],
    ids=["off", "on"],
)
def test_grub_config(there: Scene, name: str, lockdown: str) -> None:
    """The network's GRUB runs the disk's configuration: no other program is started."""
    boot = climb(there, name, Rung.GRUB_CONFIG)
    assert boot.line.endswith(f"cmdpath= lockdown={lockdown}.")


def test_grub_asks_again(there: Scene) -> None:
    """The http service hangs when GRUB wants its script: GRUB says so, and gets it when it can."""
    machine = there.rack.machine(ON.name)
    there.appliance.api("PATCH", f"/v1/machines/{ON.name}", {"local_boot": Rung.GRUB_CONFIG})
    there.appliance.settle()
    http = there.appliance.service_pid("http")
    os.kill(http, signal.SIGSTOP)
    try:
        mark = machine.serial_mark()
        machine.power_on()
        machine.wait_serial("asking again in 1 s", BOOT_SECONDS, since=mark)
        os.kill(http, signal.SIGCONT)
        machine.wait_serial(BOOTED, BOOT_SECONDS, since=mark)
    finally:
        os.kill(http, signal.SIGCONT)
        machine.power_off()


@pytest.mark.deep
def test_a_disk_that_gives_up_leads_to_no_loop(there: Scene, store: Path) -> None:
    """A configuration that boots nothing comes back to ours, and that ends: nobody asks again."""
    machine = there.rack.machine(ON.name)
    write_uefi(machine.disk, store, config="true\n")
    try:
        there.appliance.api("PATCH", f"/v1/machines/{ON.name}", {"local_boot": Rung.GRUB_CONFIG})
        there.appliance.settle()
        mark = machine.serial_mark()
        machine.power_on()
        machine.wait_serial('starting Boot0000 "UiApp"', BOOT_SECONDS, since=mark)
        assert machine.serial_text(mark).count("Start PXE over IPv4") == 1
    finally:
        machine.power_off()
        write_uefi(machine.disk, store)
