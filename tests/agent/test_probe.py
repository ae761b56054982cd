"""What is known of the machine's disks: sysfs trees as the kernel shows them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ironwake_agent import commands, probe
from ironwake_agent.commands import CommandError
from tests.agent.rig import Recorder

SATA = "devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda"
USB = "devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb"
NVME = "devices/pci0000:00/0000:00:1d.0/0000:02:00.0/nvme/nvme0/nvme0n1"
VIRTIO = "devices/pci0000:00/0000:00:04.0/virtio1/block/vda"
MEMORY = "devices/virtual/block/loop0"
READER = "devices/pci0000:00/0000:00:14.0/usb2/2-2/2-2:1.0/host7/target7:0:0/7:0:0:0/block/sdc"


def sysfs(root: Path, place: str, files: dict[str, str | bytes]) -> None:
    folder = root / "sys" / place
    folder.mkdir(parents=True)
    (root / "sys/block").mkdir(parents=True, exist_ok=True)
    (root / "sys/block" / folder.name).symlink_to(folder)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())


def showing(table: dict[str, list[tuple[str, str]]]) -> Recorder:
    def answer(words: tuple[str, ...]) -> str | None:
        rows = [{"type": kind, "label": label or None} for kind, label in table.get(words[-1], [])]
        return json.dumps({"signatures": rows}) if rows else ""

    return Recorder(wants=answer)


def test_a_sata_disk_is_described_by_what_the_kernel_knows(tmp_path: Path) -> None:
    """Serial number from the SCSI page, model, world-wide name, contents of disk and partitions."""
    page = b"\0\x80\0\x14" + b"      S5Y1NJ0R123456"
    sysfs(
        tmp_path,
        SATA,
        {
            "size": "976773168",
            "removable": "0",
            "ro": "0",
            "device/vendor": "ATA     ",
            "device/model": "Samsung SSD 870 ",
            "device/vpd_pg80": page,
            "device/wwid": "naa.5002538f00000000",
            "sda1/partition": "1",
            "sda2/partition": "2",
        },
    )
    run = showing({"/dev/sda": [("gpt", ""), ("PMBR", "")], "/dev/sda1": [("ext4", "root")]})
    (disk,) = probe.disks(run, tmp_path)
    assert (disk.path, disk.serial, disk.model) == (
        "/dev/sda",
        "S5Y1NJ0R123456",
        "ATA Samsung SSD 870",
    )
    assert disk.size == 976773168 * 512
    assert disk.transport == "ata"
    assert disk.found == (
        "a GPT partition table",
        "ext4 (root) on sda1",
        "something unknown on sda2",
    )
    assert "/dev/disk/by-id/wwn-0x5002538f00000000" in disk.links
    assert "/dev/disk/by-id/ata-Samsung_SSD_870_S5Y1NJ0R123456" in disk.links


def test_disks_are_told_from_what_only_looks_like_one(tmp_path: Path) -> None:
    """Loop devices, empty card readers and boot areas of flash are no disks."""
    sysfs(tmp_path, MEMORY, {"size": "1000"})
    sysfs(tmp_path, READER, {"size": "0", "removable": "1"})
    sysfs(tmp_path, "devices/platform/mmc_host/mmc0/mmc0:1/block/mmcblk0boot0", {"size": "8192"})
    sysfs(tmp_path, VIRTIO, {"size": "12582912", "serial": "DISK0001", "removable": "0"})
    (disk,) = probe.disks(Recorder(), tmp_path)
    assert (disk.path, disk.serial, disk.found) == ("/dev/vda", "DISK0001", ())
    assert "/dev/disk/by-id/virtio-DISK0001" in disk.links
    assert "/dev/disk/by-path/pci-0000:00:04.0" in disk.links


def test_the_bus_is_seen(tmp_path: Path) -> None:
    """A USB disk calls itself fixed: the path through the bus tells."""
    sysfs(tmp_path, USB, {"size": "1000", "removable": "0"})
    sysfs(tmp_path, NVME, {"size": "1000", "device/serial": "PHLF", "device/model": "INTEL X"})
    nvme, usb = probe.disks(Recorder(), tmp_path)
    assert (usb.transport, nvme.transport) == ("usb", "nvme")
    assert "/dev/disk/by-id/nvme-INTEL_X_PHLF" in nvme.links
    assert "/dev/disk/by-path/pci-0000:02:00.0-nvme-1" in nvme.links


def test_a_disk_that_cannot_be_read_is_not_called_blank(tmp_path: Path) -> None:
    """Where wipefs fails, the disk carries its words."""
    sysfs(tmp_path, VIRTIO, {"size": "12582912"})
    run = Recorder(broken={"wipefs": "wipefs ended with 1: Input/output error"})
    (disk,) = probe.disks(run, tmp_path)
    assert "Input/output error" in disk.unreadable


def test_partitions_are_counted_as_people_do(tmp_path: Path) -> None:
    """Partition 10 comes after partition 2."""
    sysfs(tmp_path, VIRTIO, {f"vda{number}/partition": str(number) for number in (10, 2, 1)})
    assert probe.partitions(tmp_path / "sys" / VIRTIO) == ("vda1", "vda2", "vda10")


@pytest.mark.parametrize(
    "make", [[], ["mkfs.ext4", "-q", "-F"], ["mkswap", "-q"], ["sfdisk", "-q"]]
)
def test_the_real_wipefs_is_understood(tmp_path: Path, make: list[str]) -> None:
    """Nothing is found on zeros, something on whatever a tool has written."""
    image = tmp_path / "disk.img"
    with image.open("wb") as stream:
        stream.truncate(16 << 20)
    if make:
        script = b"label: gpt\nsize=1MiB\n,\n"
        subprocess.run([*make, image], check=True, input=script, capture_output=True)
    found = probe._found(commands.run, str(image), ())
    assert bool(found) == bool(make)


def test_the_real_wipefs_fails_aloud(tmp_path: Path) -> None:
    """A device that is not there is an error, not a blank disk."""
    with pytest.raises(CommandError):
        probe._found(commands.run, str(tmp_path / "missing"), ())
