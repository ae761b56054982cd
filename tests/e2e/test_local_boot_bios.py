"""Every way to the disk under SeaBIOS with iPXE as the card's ROM, and pxelinux to the order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ironwake.localboot import Rung
from ironwake_testing.disks import write_bios
from ironwake_testing.scene import DEPLOY_SECONDS, Scene, node, scene
from tests.e2e.rungs import climb

pytestmark = [pytest.mark.root, pytest.mark.qemu]

DISK = node(1, firmware="bios", disk_bytes=8 << 20, memory_mb=512)
BLANK = node(2, firmware="bios", memory_mb=1024)


@pytest.fixture(scope="module")
def there(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A machine with a disk that boots, and a blank one; both are enrolled."""
    with scene(tmp_path_factory.mktemp("rungs"), DISK, BLANK, artifacts=store) as there:
        write_bios(there.rack.machine(DISK.name).disk)
        for machine in (DISK, BLANK):
            there.enrol(machine)
        yield there


def test_silence(there: Scene) -> None:
    """The ROM gives up by itself, and not a packet was ours."""
    boot = climb(there, DISK.name, Rung.SILENCE)
    assert "iPXE" in boot.text
    assert boot.said == []


def test_ipxe_exit(there: Scene) -> None:
    """The ROM gets a script that fails, and the BIOS goes on."""
    text = climb(there, DISK.name, Rung.IPXE_EXIT).text
    assert "Booting from Hard Disk" in text
    assert "SAN device" not in text


def test_sanboot(there: Scene) -> None:
    """iPXE starts the disk itself; the BIOS has no turn."""
    text = climb(there, DISK.name, Rung.SANBOOT).text
    assert "Booting from SAN device 0x80" in text
    assert "Booting from Hard Disk" not in text


def test_localboot(there: Scene) -> None:
    """lpxelinux.0, started by the ROM, gives the BIOS its turn."""
    text = climb(there, DISK.name, Rung.LOCALBOOT).text
    assert "PXELINUX" in text
    assert "Booting from Hard Disk" in text


def test_a_machine_that_is_pinned_to_pxelinux_comes_to_its_order(there: Scene) -> None:
    """Loader and configuration by TFTP, kernel and ramdisk by HTTP, and the agent asks."""
    there.appliance.api("PATCH", f"/v1/machines/{BLANK.name}", {"loader": "pxelinux"})
    deployment = there.deploy(BLANK.name)
    try:
        events = there.appliance.wait_event(
            deployment, lambda event: event["kind"] == "claimed", DEPLOY_SECONDS
        )
        files = {event["detail"].get("file", "").rpartition("/")[2] for event in events}
        assert {"lpxelinux.0", "ldlinux.c32", "vmlinuz"} <= files
        assert "undionly.kpxe" not in files
    finally:
        there.rack.machine(BLANK.name).power_off()
