"""The Debian installer's guard: which disk it lets be partitioned, and how it ends else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ironwake.families.debian import FAMILY, PRESEED
from tests.families import asked
from tests.families.debconf import answer

OTHER = ("disk-2",)
PATH = "/dev/disk/by-path/pci-0000:00:04.0"


# What the guard sees of a machine with one disk; `wget` and `poweroff` leave their traces.
_COMMANDS = {
    "list-devices": "echo /dev/vda",
    "udevadm": "echo DEVNAME=/dev/vda; echo ID_SERIAL=disk-1",
    "dd": '[ "$1" = if=/dev/vda ]',
    "debconf-set": 'echo set "$@" >>"$TRACE"',
    "wget": 'echo "$@" >>"$TRACE"',
    "readlink": f'[ "$2" = {PATH} ] && echo /dev/vda || echo "$2"',
    "poweroff": "echo poweroff >>$TRACE; kill $PPID",
}


def _guarded(
    folder: Path, blkid: int, match: str = "auto", erase: tuple[str, ...] = (), **others: str
) -> str:
    """Run the guard in a shell, on a disk for which blkid ends like this; what it did."""
    mirror = "http://mirror.example/debian"
    told = asked.install("debian-12", erase=erase, match=match, packages_from=mirror)
    hook = answer(FAMILY.answers(told).files[PRESEED], "partman/early_command")
    trace = folder / "trace"
    for name, body in {**_COMMANDS, "blkid": f"exit {blkid}", **others}.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    path = {"PATH": f"{folder}:/usr/bin:/bin", "TRACE": str(trace)}
    subprocess.run(["sh", "-c", hook], env=path, check=False)
    return trace.read_text()


@pytest.mark.parametrize(
    ("blkid", "erase", "goes_on"),
    [
        (2, (), True),  # nothing found: blank
        (0, (), False),  # a partition table or a file system
        (8, (), False),  # several signatures that contradict each other
        (0, ("/dev/vda",), True),
        (0, ("disk-1",), True),
        (0, ("disk-10", "/dev/vdb", "it's"), False),  # another disk may be erased
    ],
)
def test_only_a_blank_disk_or_one_to_erase_is_partitioned(
    blkid: int, erase: tuple[str, ...], goes_on: bool, tmp_path: Path
) -> None:
    """The guard stands before the first write, and lets nothing pass but what was named."""
    done = _guarded(tmp_path, blkid, erase=erase)
    assert ("stage=installing" in done) is goes_on
    assert ("stage=failed" in done and "poweroff" in done) is not goes_on


@pytest.mark.parametrize("match", [PATH, "disk-1", "auto"])
def test_a_disk_that_cannot_be_read_is_never_taken_for_blank(match: str, tmp_path: Path) -> None:
    """`blkid -p` ends with 2 for a disk that it cannot open, as for one that has nothing on it."""
    done = _guarded(tmp_path, 2, match, OTHER, dd="exit 1")
    assert "stage=failed" in done
    assert "stage=installing" not in done


@pytest.mark.parametrize("match", ["/dev/disk/by-path/other", "disk-9"])
def test_a_disk_that_is_named_but_not_there_is_refused(match: str, tmp_path: Path) -> None:
    """The installer must not look for another disk than the profile names."""
    done = _guarded(tmp_path, 2, match, OTHER)
    assert "stage=failed" in done
    assert "stage=installing" not in done


def test_a_serial_number_of_two_disks_is_refused(tmp_path: Path) -> None:
    """Which of the two is meant is a question for a person."""
    done = _guarded(
        tmp_path, 2, "disk-1", OTHER, **{"list-devices": "echo /dev/vda; echo /dev/vdb"}
    )
    assert "stage=failed" in done
    assert "stage=installing" not in done


@pytest.mark.parametrize("match", [PATH, "disk-1"])
def test_the_disk_that_is_named_gets_the_system_and_the_boot_loader(
    match: str, tmp_path: Path
) -> None:
    """Left alone, grub-installer writes to the first disk of a BIOS machine, whatever is on it."""
    done = _guarded(tmp_path, 2, match, OTHER)
    assert "set partman-auto/disk /dev/vda\n" in done
    assert "set grub-installer/bootdev /dev/vda\n" in done
    assert "stage=installing" in done
