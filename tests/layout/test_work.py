"""What a layout means on real disks: sfdisk and the makers of file systems are the witnesses."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ironwake.disk import Disk, Part
from ironwake.errors import RefusedError
from ironwake.layout.work import Work, partition, work
from ironwake.sizes import MIB
from tests.layout.rig import MIRRORED, ONE, PLAIN, TWO, layout, target


def words(found: Work, program: str) -> list[tuple[str, ...]]:
    return [one.words for one in found.commands if one.words[0] == program]


def scripts(found: Work) -> list[str]:
    return [one.stdin for one in found.commands if one.words[0] == "sfdisk"]


def as_it_is(path: Path) -> tuple[str, tuple[Part, ...]]:
    """What sfdisk says of a disk."""
    printed = subprocess.run(["sfdisk", "--json", path], capture_output=True, check=True)
    table = json.loads(printed.stdout)["partitiontable"]
    rows = tuple(
        Part(
            int(row["node"].removeprefix(str(path))),
            row["start"] * 512,
            row["size"] * 512,
            row["type"],
            row.get("uuid", "").lower(),
            row.get("name", ""),
        )
        for row in table["partitions"]
    )
    return "gpt" if table["label"] == "gpt" else "msdos", rows


def divided(tmp_path: Path, text: str, disk: Disk) -> Disk:
    """`disk` as it is after sfdisk had its script."""
    image = tmp_path / "disk"
    with image.open("wb") as stream:
        stream.truncate(disk.size)
    script = scripts(work(layout(text), target([disk])))[0]
    subprocess.run(["sfdisk", "--quiet", image], input=script, text=True, check=True)
    table, parts = as_it_is(image)
    return replace(disk, table=table, parts=parts)


MSDOS = """
disks:
  - name: only
    table: msdos
    partitions:
      - {name: esp, role: esp, size: 100MiB}
      - {name: a, size: 10%, format: ext4, mount: /a}
      - {name: b, size: 1GiB, format: swap}
      - {name: c, size: 1GiB, format: xfs, mount: /}
      - {name: d, format: xfs, mount: /d}
"""


@pytest.mark.parametrize("text", [PLAIN, MSDOS])
def test_sfdisk_makes_what_was_meant(tmp_path: Path, text: str) -> None:
    """Number, start, size and type of each are those that were said beforehand; and then the disk
    has the layout, and is not divided again."""
    planned = work(layout(text), target([ONE])).disks[0]
    disk = divided(tmp_path, text, ONE)
    there = {part.number: (part.start, part.size) for part in disk.parts}
    assert {one.number: (one.start, one.size) for one in planned.places} == {
        number: there[number] for number in there if there[number] and number in planned.kinds
    }
    again = work(layout(text), target([disk]))
    assert again.disks[0].stays
    assert not scripts(again)


def test_a_foreign_table_goes_where_it_may(tmp_path: Path) -> None:
    """`wipe` says what becomes of a table: never, if it is foreign, always."""
    disk = divided(tmp_path, PLAIN, ONE)
    foreign = replace(disk, parts=disk.parts[:-1])
    assert scripts(work(layout(PLAIN), target([foreign])))
    always = PLAIN.replace("name: only", "name: only\n    wipe: always")
    assert scripts(work(layout(always), target([disk])))
    never = PLAIN.replace("name: only", "name: only\n    wipe: never")
    assert not scripts(work(layout(never), target([disk])))
    with pytest.raises(RefusedError, match="may not be divided anew"):
        work(layout(never), target([foreign]))


DATA = PLAIN.replace(
    "format: ext4, mount: /}",
    "size: 4GiB, format: ext4, mount: /}\n      - {name: data, format: xfs, mount: /data}",
)


def test_what_is_kept_survives(tmp_path: Path) -> None:
    """The kept partition has its place, its ids and no new file system; all others are wiped."""
    disk = divided(tmp_path, DATA, ONE)
    text = DATA.replace("{name: data,", "{name: data, keep: true,")
    with pytest.raises(RefusedError, match=r"which has 4\.251 GiB for them"):
        work(layout(text.replace("size: 4GiB", "size: 5GiB")), target([disk]))
    found = work(layout(text.replace("size: 4GiB", "size: 3GiB")), target([disk]))
    data = disk.parts[3]
    row = next(line for line in scripts(found)[0].splitlines() if '"data"' in line)
    assert f"start={data.start // 512}, size={data.size // 512}" in row
    assert data.uuid in row
    assert not words(found, "mkfs.xfs")
    touched = {word for one in words(found, "wipefs") for word in one}
    assert not {"/dev/vda4", "/dev/vda"} & touched
    assert {"/dev/vda1", "/dev/vda2", "/dev/vda3"} <= touched
    assert words(found, "sfdisk")[0][1] == "--wipe=never"
    assert not words(found, "dd")
    (place,) = (place for place in found.places if place.mount == "/data")
    assert place.spec == f"PARTUUID={data.uuid}"


def test_everything_stands_on_what_is_below() -> None:
    """Partitions, then the array, then the group, then what is in it, each on the one before."""
    found = work(layout(MIRRORED), target())
    (made,) = words(found, "mdadm")
    assert made[-2:] == ("/dev/vda4", "/dev/vdb4")
    assert words(found, "vgcreate")[0][-2:] == ("vg0", "/dev/md/both")
    opened = words(found, "cryptsetup")[1]
    assert opened[-2:] == ("/dev/mapper/vg0-root", "vg0-root-open")
    assert words(found, "mkfs.ext4")[1][-1] == "/dev/mapper/vg0-root-open"
    sizes = {one[4]: one[5] for one in words(found, "lvcreate")}
    assert sizes["--name=half"] == "--extents=25%VG"
    assert sizes["--name=data"] == "--extents=50%FREE"
    assert sizes["--name=more"] == "--extents=100%FREE"
    order = [one.words[0] for one in found.commands]
    assert order.index("mdadm") < order.index("pvcreate") < order.index("cryptsetup")


def test_mounts_are_in_an_order_that_works() -> None:
    """The root first, and each before what is inside of it."""
    found = work(layout(MIRRORED), target())
    mounts = [one.mount for one in found.places]
    assert mounts[0] == "/"
    for index, mount in enumerate(mounts[1:], start=1):
        assert not any(later.startswith(f"{mount}/") for later in mounts[:index])
    lines = "".join(one.line for one in (*found.places, *found.swaps))
    assert "subvol=@home" in lines
    assert " none swap sw 0 0\n" in lines


def test_ids_are_the_deployment_s(tmp_path: Path) -> None:
    """The same deployment has the same ids, so the dry run shows them; another has others."""
    first, second = (work(layout(MIRRORED), target()) for _ in range(2))
    assert first == second
    other = replace(target(), identity=replace(target().identity, seed="d2"))
    assert not set(scripts(work(layout(MIRRORED), other))) & set(scripts(first))
    del tmp_path


@pytest.mark.parametrize(
    ("level", "size", "fits"),
    [(1, "18GiB", True), (1, "19GiB", False), (0, "35GiB", True), (0, "38GiB", False)],
)
def test_a_group_too_small_is_found_out_beforehand(level: int, size: str, fits: bool) -> None:
    """Nothing is written on disks whose array has no room for all volumes."""
    text = MIRRORED.replace("level: 1", f"level: {level}").replace("25%", "1GiB")
    text = text.replace("name: root, size: 4GiB", f"name: root, size: {size}")
    text = text.replace("name: swap, size: 1GiB", "name: swap, size: 8MiB")
    text = text.replace("1GiB, format: xfs", "8MiB, format: xfs")
    if fits:
        work(layout(text), target())
        return
    with pytest.raises(RefusedError, match=r"the volumes of vg0 need \S+ GiB, and it has"):
        work(layout(text), target())


@pytest.mark.parametrize(("uefi", "role"), [(True, "esp"), (False, "bios-boot")])
def test_firmware_needs_its_partition(uefi: bool, role: str) -> None:
    """A machine that could not boot from the layout is told so before anything is written."""
    line = next(line for line in PLAIN.splitlines(keepends=True) if f"role: {role}" in line)
    with pytest.raises(RefusedError, match=f"role: {role}"):
        work(layout(PLAIN.replace(line, "")), target([ONE], uefi=uefi))


def test_no_disk_is_taken_twice() -> None:
    """Two that say `smallest` get two disks, whatever order they stand in."""
    text = MIRRORED.replace("match: S1", "match: smallest ssd").replace(
        "match: S2", "match: smallest ssd"
    )
    found = work(layout(text), target([TWO, ONE]))
    assert [one.disk.serial for one in found.disks] == ["S1", "S2"]
    with pytest.raises(RefusedError, match="all are taken"):
        work(layout(text), target([ONE]))


def test_what_is_on_a_disk_is_asked_for() -> None:
    """Each disk of the layout that is not blank must be named by `erase`."""
    full = replace(TWO, found=("ext4 on vdb1",))
    with pytest.raises(RefusedError, match="--erase S2"):
        work(layout(MIRRORED), target([ONE, full], erase=["S1"]))
    work(layout(MIRRORED), target([ONE, full], erase=["S2"]))


def test_file_systems_are_made_as_said(tmp_path: Path) -> None:
    """Real makers take the words; blkid finds the ids that fstab names."""
    found = work(layout(MIRRORED), target())
    for one in found.commands:
        if not one.words[0].startswith("mk") or one.words[0] == "mkdir":
            continue
        image = tmp_path / "fs"
        image.unlink(missing_ok=True)
        with image.open("wb") as stream:
            stream.truncate(320 * MIB)
        subprocess.run([*one.words[:-1], image], check=True, capture_output=True)
        printed = subprocess.run(["blkid", "-p", "-o", "export", image], capture_output=True)
        there = dict(line.split("=", 1) for line in printed.stdout.decode().splitlines())
        device = one.words[-1]
        specs = [p.spec for p in (*found.places, *found.swaps) if p.device == device]
        assert all(spec == f"UUID={there['UUID']}" for spec in specs)


@pytest.mark.parametrize(
    ("disk", "number", "device"),
    [("/dev/sda", 2, "/dev/sda2"), ("/dev/nvme0n1", 2, "/dev/nvme0n1p2")],
)
def test_partitions_have_the_kernel_s_names(disk: str, number: int, device: str) -> None:
    """A disk whose name ends in a digit gets a p."""
    assert partition(disk, number) == device
