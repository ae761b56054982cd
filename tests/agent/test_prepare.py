"""Partitions and file systems: Debian's own tools, on image files."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ironwake.errors import RefusedError
from ironwake_agent import commands, layout, prepare, probe
from ironwake_agent.disks import Disk
from tests.agent.rig import BIOS, UEFI, Recorder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    with path.open("wb") as stream:
        stream.truncate(2 << 30)
    return path


@pytest.mark.parametrize(
    ("uefi", "types"), [(True, ["C12A7328", "4F68BCE3"]), (False, ["21686148", "4F68BCE3"])]
)
def test_sfdisk_makes_what_the_layout_says(image: Path, uefi: bool, types: list[str]) -> None:
    """GPT with the boot partition first, and a root that takes the rest of the disk."""
    plan = layout.layout(uefi, "x86_64")
    commands.run("sfdisk", "--quiet", str(image), stdin=plan.script)
    table = json.loads(commands.run("sfdisk", "--json", str(image)))["partitiontable"]
    assert table["label"] == "gpt"
    parts = table["partitions"]
    assert [part["type"][:8] for part in parts] == types
    assert parts[plan.root - 1]["name"] == "root"
    assert parts[plan.root - 1]["size"] * 512 > (2 << 30) - (260 << 20)
    ids = prepare.old_partition_ids(commands.run, Disk(str(image), 2 << 30))
    assert ids == {part["uuid"].lower() for part in parts}


def test_old_partition_ids_of_anything_else_are_none(image: Path) -> None:
    """A disk without a table, and one that can't be read, have no ids to forget."""
    assert prepare.old_partition_ids(commands.run, Disk(str(image), 1)) == frozenset()
    assert prepare.old_partition_ids(commands.run, Disk("/nowhere", 1)) == frozenset()


def test_older_systems_can_read_the_root(image: Path) -> None:
    """No feature that Debian 12's e2fsck and GRUB do not know; the ids are those of fstab."""
    prepare.make_file_systems(commands.run, replace(BIOS, root=str(image)))
    words = commands.run("dumpe2fs", "-h", str(image))
    features = next(line for line in words.splitlines() if line.startswith("Filesystem features"))
    assert "orphan_file" not in features
    assert "metadata_csum_seed" not in features
    assert BIOS.root_uuid in words


def test_the_esp_has_the_id_of_fstab(tmp_path: Path, image: Path) -> None:
    """FAT's volume number is chosen by us, so that fstab can be written without looking."""
    esp = tmp_path / "esp.img"
    with esp.open("wb") as stream:
        stream.truncate(256 << 20)
    prepare.make_file_systems(commands.run, replace(UEFI, root=str(image), esp=str(esp)))
    printed = subprocess.run(["blkid", "-p", "-o", "export", esp], capture_output=True, text=True)
    assert "UUID=ABCD-1234" in printed.stdout


@pytest.mark.parametrize("make", [["mkfs.ext4", "-q", "-F"], ["mkswap", "-q"], ["sfdisk", "-q"]])
def test_wiping_leaves_nothing_to_find(image: Path, make: list[str]) -> None:
    """After wiping, no tool finds a signature, and an old boot loader's code is gone."""
    script = layout.layout(False, "x86_64").script.encode()
    subprocess.run([*make, image], input=script, check=True, capture_output=True)
    with image.open("r+b") as stream:
        stream.write(b"\xeb\x63\x90")  # how GRUB's boot code begins
    prepare.wipe(commands.run, Disk(str(image), 2 << 30), ())
    assert probe.signatures(commands.run, str(image)) == []
    with image.open("rb") as stream:
        assert stream.read(1 << 20) == bytes(1 << 20)


def test_old_partitions_are_wiped_before_the_disk(image: Path) -> None:
    """What stood in a partition must not come back when a new one begins at the same place."""
    run = Recorder()
    prepare.wipe(run, Disk(str(image), 2 << 30), ("vda1", "vda2"))
    assert run.calls[0][-3:] == ("/dev/vda1", "/dev/vda2", str(image))


@pytest.mark.parametrize(
    ("disk", "name"),
    [
        ("/dev/sda", "/dev/sda2"),
        ("/dev/nvme0n1", "/dev/nvme0n1p2"),
        ("/dev/mmcblk0", "/dev/mmcblk0p2"),
    ],
)
def test_partitions_are_named_as_the_kernel_does(disk: str, name: str) -> None:
    """A disk whose name ends in a digit has a `p` before the partition's number."""
    assert layout.partition(disk, 2) == name


def test_a_disk_that_is_gone_cannot_be_had() -> None:
    """The claim says which disk and why."""
    with pytest.raises(RefusedError, match="/dev/nowhere"):
        prepare.claim("/dev/nowhere")
