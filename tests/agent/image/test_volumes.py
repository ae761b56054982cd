"""What is done to volumes, by the words that programs get; LVM needs a kernel that has it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ironwake.disk import Disk, Part
from ironwake_agent.image import adopt, volumes
from ironwake_agent.image.volumes import Root, Volume
from tests.agent.rig import Recorder

PARTS = (Part(1, 1 << 20, 1 << 28, "ef", "u1"), Part(2, 1 << 29, 1 << 33, "8e", "u2"))
KINDS = {
    "/dev/vda1": "TYPE=vfat\nUUID=ABCD-1234\n",
    "/dev/vda2": "TYPE=LVM2_member\nUUID=x\n",
    "/dev/mapper/vg0-root": "TYPE=ext4\nUUID=r\nLABEL=top\n",
    "/dev/mapper/vg0-swap": "TYPE=swap\nUUID=s\n",
}
LVM = {
    "pvs": "  vg0\n",
    "lvs": "  /dev/mapper/vg0-root\n  /dev/mapper/vg0-swap\n",
    "vgs": "  1234\n",
}


def _answers(words: tuple[str, ...]) -> str | None:
    if words[0] == "blkid":
        return KINDS[words[-1]]
    return LVM.get(words[1], "") if words[0] == "lvm" else None


@pytest.fixture
def run() -> Recorder:
    return Recorder(wants=_answers)


def test_volumes_of_lvm_are_found_and_let_go(run: Recorder) -> None:
    """The group is switched on to be looked into, and off so that the disk is nobody's."""
    found = volumes.look(run, "/dev/vda", PARTS)
    assert [one.kind for one in found] == ["vfat", "LVM2_member", "ext4", "swap"]
    assert [one.group for one in found] == ["", "", "vg0", "vg0"]
    assert ("lvm", "vgchange", "-ay", "vg0") in run.calls
    volumes.let_go(run, found)
    assert run.calls[-1] == ("lvm", "vgchange", "-an", "vg0")


_ROOTS = ["/dev/mapper/vg0-root"]
MIRRORED = {
    **{f"/dev/vd{disk}1": "TYPE=linux_raid_member\nUUID=one\n" for disk in "ab"},
    **{f"/dev/vd{disk}2": "TYPE=linux_raid_member\nUUID=two\n" for disk in "ab"},
    "/dev/md0": "TYPE=ext4\nUUID=boot\n",
    "/dev/md1": "TYPE=LVM2_member\nUUID=x\n",
    **{name: text for name, text in KINDS.items() if "mapper" in name},
}


def test_arrays_over_several_disks_are_found_and_let_go() -> None:
    """Assembled to be read, with the group that stands on one; each volume is there once."""

    def answers(words: tuple[str, ...]) -> str | None:
        return MIRRORED[words[-1]] if words[0] == "blkid" else _answers(words)

    run = Recorder(wants=answers)
    found = volumes.look_all(run, [Disk(f"/dev/vd{one}", 1 << 34, parts=PARTS) for one in "ab"])
    assert [one.device for one in found if one.kind == "ext4"] == ["/dev/md0", *_ROOTS]
    words = ("mdadm", "--assemble", "--readonly", "--run")
    assert [call[4:] for call in run.calls if call[:4] == words] == [
        ("/dev/md0", "/dev/vda1", "/dev/vdb1"),
        ("/dev/md1", "/dev/vda2", "/dev/vdb2"),
    ]
    volumes.let_go(run, found)
    stopped = [("mdadm", "--stop", "/dev/md0"), ("mdadm", "--stop", "/dev/md1")]
    assert run.calls[-3:] == [("lvm", "vgchange", "-an", "vg0"), *stopped]


def test_an_array_without_enough_of_its_disks_is_left_out() -> None:
    """What else is there can be read all the same."""
    kinds = {**MIRRORED, "/dev/vda2": "TYPE=ext4\nUUID=r\n"}
    run = Recorder(
        wants=lambda words: kinds[words[-1]] if words[0] == "blkid" else None,
        broken={"mdadm": "mdadm ended with 1"},
    )
    found = volumes.look_all(run, [Disk("/dev/vda", 1 << 34, parts=PARTS)])
    assert [one.device for one in found] == ["/dev/vda1", "/dev/vda2"]


def test_the_volume_of_the_root_gets_what_the_partition_gets(run: Recorder) -> None:
    """First the physical volume, then the logical one, then its file system."""
    found = volumes.look(run, "/dev/vda", PARTS)
    grown = volumes.extend(run, found, 2, Root(found[2]))
    assert grown == found[2]
    assert grown is not None
    volumes.grow(run, grown, lambda _: None)
    words = [" ".join(call) for call in run.calls]
    order = ["lvm pvresize /dev/vda2", "lvm lvextend", "sh -c", "resize2fs /dev/mapper/vg0-root"]
    places = [next(n for n, w in enumerate(words) if w.startswith(one)) for one in order]
    assert places == sorted(places)


def test_a_full_group_grows_nothing(run: Recorder) -> None:
    """Also where nobody knows which volume is meant."""
    found = volumes.look(run, "/dev/vda", PARTS)
    assert volumes.extend(run, found, 2, None) is None
    full = Recorder(wants=lambda words: "0" if words[:2] == ("lvm", "vgs") else _answers(words))
    assert volumes.extend(full, found, 2, Root(found[2])) is None
    assert not [call for call in full.calls if call[1:2] == ("lvextend",)]


def test_what_cannot_grow_is_said(run: Recorder) -> None:
    """Larger partition, same content: a person may want to know."""
    said: list[str] = []
    volumes.grow(run, Volume("/dev/vda2", "crypto_LUKS"), said.append)
    assert said == ["/dev/vda2 is larger now, what is in it is not: crypto_LUKS"]
    assert not run.calls


@pytest.mark.parametrize(
    ("spec", "device"),
    [
        ("UUID=ABCD-1234", "/dev/vda1"),
        ("UUID=abcd-1234", "/dev/vda1"),
        ('LABEL="top"', "/dev/mapper/vg0-root"),
        ("PARTUUID=U1", "/dev/vda1"),
        ("/dev/mapper/vg0-root", "/dev/mapper/vg0-root"),
        ("UUID=other", None),
        ("LABEL=TOP", None),
        ("tmpfs", None),
    ],
)
def test_fstab_means_volumes_of_this_disk(run: Recorder, spec: str, device: str | None) -> None:
    """By whatever it calls them; anything else is not ours to mount."""
    found = volumes.look(run, "/dev/vda", PARTS)
    one = adopt.named(spec, found)
    assert (one.device if one else None) == device


def test_no_volume_has_a_name_that_is_empty() -> None:
    """A volume without an id is never what an empty word means."""
    bare = Volume("/dev/vda1", part=replace(PARTS[0], uuid=""))
    assert bare.specs == ("/dev/vda1",)
