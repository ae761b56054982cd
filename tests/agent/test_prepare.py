"""Carrying a layout out: Debian's own tools, on image files."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ironwake.disk import Disk, Part
from ironwake.errors import BrokenError, GoneError, RefusedError
from ironwake.layout.model import Role
from ironwake_agent import commands, prepare, probe
from tests.agent.rig import BIOS, DISK, UEFI, Clock, Recorder, work_on

SIZE = 2 << 30


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    path = tmp_path / "disk"
    with path.open("wb") as stream:
        stream.truncate(SIZE)
    return Disk(str(path), SIZE)


def only_the_disk(*words: str, stdin: str = "", timeout: float = 300.0) -> str:
    """Runs what is about the whole disk: an image file has no devices for its partitions."""
    if words[0] in ("sfdisk", "dd") or (words[0] == "wipefs" and words[-1].endswith("disk")):
        last = [word for word in words if not word[-1].isdigit() or word.startswith(("bs", "c"))]
        return commands.run(*last, stdin=stdin, timeout=timeout)
    return ""


def at_once(_: float = 0) -> None:
    """Nobody stops it."""


def test_a_disk_has_the_usual_layout_afterwards(disk: Disk) -> None:
    """ESP, a place for GRUB, and a root that takes the rest; and what was there before is gone."""
    work = work_on(disk, uefi=True)
    with Path(disk.path).open("r+b") as stream:
        stream.write(b"\xeb\x63\x90")  # how GRUB's boot code begins
    ready = replace(work, commands=tuple(replace(one, awaits=()) for one in work.commands))
    prepare.carry_out(only_the_disk, ready, {}, Clock().patience(1), at_once)
    table, parts = probe.read_table(commands.run, disk.path, 512)
    assert table == "gpt"
    assert [part.name for part in parts] == ["ESP", "BIOS-boot", "root"]
    assert parts[2].size > SIZE - (260 << 20)
    with Path(disk.path).open("rb") as stream:
        assert stream.read(440) == bytes(440)


@pytest.mark.parametrize("make", [["mkfs.ext4", "-q", "-F"], ["mkswap", "-q"], ["sfdisk", "-q"]])
def test_wiping_leaves_nothing_to_find(disk: Disk, make: list[str]) -> None:
    """After the commands before sfdisk's, no tool finds a signature."""
    script = b"label: gpt\n,\n"
    subprocess.run([*make, disk.path], input=script, check=True, capture_output=True)
    for one in work_on(disk, uefi=True).commands:
        if one.words[0] == "sfdisk":
            break
        only_the_disk(*one.words)
    assert probe.signatures(commands.run, disk.path) == []


def test_old_partitions_are_wiped_before_the_disk() -> None:
    """What stood in a partition must not come back when a new one begins at the same place."""
    before = replace(DISK, table="gpt", parts=UEFI_PARTS)
    first = work_on(replace(before, size=before.size + (1 << 30)), uefi=True).commands[0]
    assert first.words[-4:] == ("/dev/vda1", "/dev/vda2", "/dev/vda3", "/dev/vda")


UEFI_PARTS = tuple(
    Part(place.number, place.start, place.size, UEFI.disks[0].kinds[place.number], f"u{n}",
               place.partition.name)
    for n, place in enumerate(UEFI.disks[0].places)
)  # fmt: skip


def test_the_ids_of_what_goes_are_known() -> None:
    """Boot entries for those partitions go too."""
    work = work_on(replace(DISK, table="gpt", parts=UEFI_PARTS), uefi=True)
    assert prepare.dead(work) == {"u0", "u1", "u2"}
    assert prepare.dead(UEFI) == frozenset()


def test_older_systems_can_read_the_root(disk: Disk) -> None:
    """No feature that Debian 12's e2fsck and GRUB do not know; the ids are those of fstab."""
    make = next(one for one in BIOS.commands if one.words[0] == "mkfs.ext4")
    commands.run(*make.words[:-1], disk.path)
    words = commands.run("dumpe2fs", "-h", disk.path)
    features = next(line for line in words.splitlines() if line.startswith("Filesystem features"))
    assert "orphan_file" not in features
    assert "metadata_csum_seed" not in features
    assert BIOS.boot.uuid in words


def test_a_device_that_does_not_come_ends_it() -> None:
    """Not for ever, and with a word for a person."""
    with pytest.raises(BrokenError, match="does not show /dev/vda1"):
        prepare.carry_out(Recorder(), UEFI, {}, Clock().patience(5), at_once)


def test_nothing_is_written_once_it_is_over() -> None:
    """The appliance's word is asked for before each command."""
    run = Recorder()

    def over() -> None:
        if run.calls:
            raise GoneError("cancelled")

    with pytest.raises(GoneError):
        prepare.carry_out(run, UEFI, {}, Clock().patience(5), over)
    assert len(run.calls) == 1


def test_file_systems_are_mounted_the_root_first(tmp_path: Path) -> None:
    """The ESP in the root, with nobody but root in it."""
    run = Recorder()
    prepare.mount(run, UEFI, tmp_path)
    assert [call[-1] for call in run.calls] == [str(tmp_path), str(tmp_path / "boot/efi")]
    assert "umask=0077" in run.calls[1][4]
    assert any(one.partition.role is Role.ESP for one in UEFI.disks[0].places)


def test_a_disk_that_is_gone_cannot_be_had() -> None:
    """The claim says which disk and why."""
    with pytest.raises(RefusedError, match="/dev/nowhere"):
        prepare.claim("/dev/nowhere")


def test_the_kernel_is_mounted_for_programs_of_the_new_system_only(tmp_path: Path) -> None:
    """Once, before the first of them; where there is none, nothing is mounted for it."""
    run = Recorder()
    inside = prepare.with_kernel(run, tmp_path)
    inside("mount", "-t", "vfat", "/dev/vda1", "/run/aside")
    assert run.programs == ["mount"]
    inside("chroot", str(tmp_path), "locale-gen")
    inside("chroot", str(tmp_path), "apt-get", "update")
    binds = [words[-1] for words in run.calls if "--bind" in words]
    assert binds == [str(tmp_path / name) for name in ("dev", "proc", "sys")]
    assert run.programs[-5:] == ["mount", "mount", "mount", "chroot", "chroot"]
