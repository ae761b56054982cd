"""The disk guard of vendors' installers: the agent's rules, as shell text, on disks of paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake.disk import DiskMatch
from ironwake.errors import InputError
from ironwake.families import guard
from ironwake.families.guard import Wanted
from ironwake.layout.model import DiskLayout, Format, Layout, MountPoint, Partition, VolumeName
from tests.families.shells import GIB, Machine

Disks = dict[str, dict[str, Any]]
FAILED = "http://192.0.2.1/deployments/t/callbacks?stage=failed&id=guard&message="
SHELLS = ["sh", "bash"]


def paper(folder: Path, disks: Disks) -> Machine:
    """A machine with these disks: name → what shells.Machine.disk takes."""
    machine = Machine(folder)
    for name, words in disks.items():
        machine.disk(name, **words)
    return machine


def run(
    machine: Machine, wanted: list[Wanted], erase: tuple[str, ...] = (), shell: str = "sh"
) -> dict[str, str]:
    """What the script made of it: variables, or `refused` with the message."""
    names = [guard.variable(one.name) for one in wanted]
    script = guard.script(wanted, erase, FAILED)
    done = machine.run(script + "".join(f'echo "{name}=${name}"\n' for name in names), shell=shell)
    assert not done.errors
    if not done.told:
        assert done.status == 0
        return dict(line.split("=", 1) for line in done.said.splitlines())
    (machine.folder / "told").unlink()
    url, off = done.told.splitlines()
    assert (off, done.said) == ("poweroff", "")
    assert url.startswith(FAILED)
    (message,) = parse_qs(urlsplit(url).query)["message"]
    return {"refused": message}


def one(match: str, least: int = 0) -> list[Wanted]:
    return [Wanted("first", DiskMatch(match), least)]


A = {
    "size": 10 * GIB,
    "serial": "WD-1",
    "wwn": "0x5000",
    "links": ("/dev/disk/by-path/pci-1", "/dev/disk/by-id/a"),
}
B = {"size": 20 * GIB, "serial": "WD-2", "rotates": True}
C = {"size": 15 * GIB, "serial": "NV 3"}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("match", "chosen"),
    [
        ("WD-2", "/dev/sdb"),
        ("serial:WD-1", "/dev/sda"),
        ("wwn:0x5000", "/dev/sda"),
        ("/dev/disk/by-path/pci-1", "/dev/sda"),
        ("NV 3", "/dev/nvme0n1"),
        ("smallest", "/dev/sda"),
        ("largest", "/dev/sdb"),
        ("nvme", "/dev/nvme0n1"),
        ("hdd", "/dev/sdb"),
        ("largest 1GB..17GiB", "/dev/nvme0n1"),
    ],
)
def test_every_form_of_a_match_finds_its_disk(
    tmp_path: Path, match: str, chosen: str, shell: str
) -> None:
    """The same words as the agent takes, in each shell that an installer may have."""
    assert run(paper(tmp_path, {"sda": A, "sdb": B, "nvme0n1": C}), one(match), shell=shell) == {
        "disk_first": chosen
    }


def test_auto_takes_the_only_fit_disk(tmp_path: Path) -> None:
    """No stick, removable, write-protected or small disk; no path below NVMe's multipath."""
    others: Disks = {
        "sdc": {"usb": True},
        "sdd": {"removable": True},
        "sde": {"read_only": True},
        "sdf": {"size": GIB},
        "sr0": {},
        "loop0": {},
        "nvme0c0n1": {"hidden": True},
        "mmcblk0boot0": {},
    }
    found = run(paper(tmp_path, {"sda": A, **others}), one("auto", 5 * GIB))
    assert found == {"disk_first": "/dev/sda"}


@pytest.mark.parametrize(
    ("disks", "match", "words"),
    [
        ({"sda": A, "sdb": B}, "auto", "no disk is fit, or several"),
        ({}, "auto", "no disk is fit, or several"),
        ({"sda": A}, "WD-9", "there is no disk WD-9 here, or several"),
        ({"sda": A, "sdb": A}, "WD-1", "there is no disk WD-1 here, or several"),
        ({"sda": A, "sdb": B}, "nvme", "no disk is as wanted, or several"),
        ({"sda": A, "sdb": B}, "smallest nvme", "no disk is as wanted"),
        ({"sda": {**A, "read_only": True}}, "WD-1", "is write-protected"),
        ({"sda": {**A, "readable": False}}, "WD-1", "cannot be read"),
        ({"sda": {**A, "size": GIB}}, "WD-1", "is too small"),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path: Path, disks: Disks, match: str, words: str) -> None:
    """Reported with its reason, and the machine goes off: nothing is written."""
    assert words in run(paper(tmp_path, disks), one(match, 5 * GIB))["refused"]


def test_a_disk_that_is_not_blank_is_written_only_if_it_may_be_erased(tmp_path: Path) -> None:
    """By any of its names; the refusal says what is on it, and the way out."""
    machine = paper(tmp_path, {"sda": {**A, "found": "gpt"}})
    refused = run(machine, one("auto"))["refused"]
    assert refused == (
        "disk /dev/sda, serial WD-1, is not blank: gpt;"
        " if all of that may go, deploy again with --erase WD-1"
    )
    assert run(machine, one("auto"), ("WD-2", "D-1"))["refused"] == refused
    for name in ("WD-1", "/dev/disk/by-path/pci-1"):
        assert run(machine, one("auto"), ("WD-7", name)) == {"disk_first": "/dev/sda"}


def test_several_disks_are_chosen_those_that_are_named_first(tmp_path: Path) -> None:
    """What is left is for those that take any; none is taken twice."""
    wanted = [Wanted("any-one", DiskMatch("auto")), Wanted("named", DiskMatch("WD-1"))]
    machine = paper(tmp_path, {"sda": A, "sdb": B})
    assert run(machine, wanted) == {"disk_any_one": "/dev/sdb", "disk_named": "/dev/sda"}
    twice = [Wanted("a", DiskMatch("WD-1")), Wanted("b", DiskMatch("/dev/disk/by-id/a"))]
    assert "is meant twice" in run(machine, twice)["refused"]


@settings(max_examples=15, deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40))
def test_no_word_of_a_person_is_anything_but_a_word(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    """A serial number of whatever characters is looked for, and never run."""
    try:
        match = DiskMatch(text)
    except InputError:
        return
    if match == "auto" or match.criteria or match.partition(":")[0] in ("serial", "wwn"):
        return
    folder = tmp_path_factory.mktemp("machine")
    machine = paper(folder, {"sda": {"serial": text, "found": "gpt"}})
    assert run(machine, [Wanted("first", match)], (text,)) == {"disk_first": "/dev/sda"}


def test_disks_whose_variables_would_be_the_same_are_refused() -> None:
    """A shell's variables have no hyphen."""
    with pytest.raises(InputError, match="differ in"):
        guard.script([Wanted("a-b", DiskMatch("1")), Wanted("a_b", DiskMatch("2"))], (), FAILED)


def test_only_a_single_disk_must_have_room_for_the_system() -> None:
    """Of several, none need have all of it."""
    root = Partition(VolumeName("root"), format=Format.EXT4, mount=MountPoint("/"))
    data = Partition(VolumeName("data"))
    first = DiskLayout(VolumeName("first"), (root,), DiskMatch("WD-1"))
    second = DiskLayout(VolumeName("second"), (data,), DiskMatch("WD-2"))
    both = guard.wanted(Layout((first, second)), DiskMatch("auto"), 5)
    assert [disk.least for disk in both] == [0, 0]
    assert guard.wanted(None, DiskMatch("WD-7"), 5) == (Wanted("disk", DiskMatch("WD-7"), 5),)
