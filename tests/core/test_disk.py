"""Which disk, and may it be written."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.disk import Disk, DiskMatch, choose, confirm, guard
from ironwake.errors import InputError, RefusedError
from ironwake.sizes import size_text

GIB = 1 << 30
LEAST = 2 * GIB
SSD = Disk("/dev/sda", 500 * GIB, "SSD 870", "S5Y1", links=("/dev/disk/by-id/ata-SSD_870_S5Y1",))
HDD = Disk("/dev/sdb", 4000 * GIB, "WD40", "WX42", rotates=True)
FAST = Disk("/dev/nvme0n1", 2000 * GIB, "NV1", "N1", "eui.01", "nvme")
FASTER = Disk("/dev/nvme1n1", 1000 * GIB, "NV2", "N2", "eui.02", "nvme")
STICK = Disk("/dev/sdc", 32 * GIB, "Cruzer", "4C53", removable=True, transport="usb")
USB_DISK = Disk("/dev/sdd", 900 * GIB, "Elements", "EL1", transport="usb")
TINY = Disk("/dev/sde", GIB, "DOM", "T1")
LOCKED = Disk("/dev/sdf", 500 * GIB, "SSD", "L1", read_only=True)
FULL = replace(SSD, found=("a GPT partition table", "ext4 (root) on sda1"))


@pytest.mark.parametrize(
    ("there", "match", "chosen"),
    [
        pytest.param([SSD], "auto", SSD, id="the only one"),
        pytest.param([SSD, STICK], "auto", SSD, id="a stick is no disk"),
        pytest.param([USB_DISK, SSD], "auto", SSD, id="nor is a disk on USB"),
        pytest.param([TINY, SSD], "auto", SSD, id="too small does not count"),
        pytest.param([LOCKED, SSD], "auto", SSD, id="write-protected does not count"),
        pytest.param([SSD, HDD], "WX42", HDD, id="by serial"),
        pytest.param([SSD, HDD], "serial:WX42", HDD, id="said to be a serial number"),
        pytest.param([SSD, FAST], "wwn:eui.01", FAST, id="by its World Wide Name"),
        pytest.param([SSD, FAST, FASTER], "smallest nvme", FASTER, id="by kind and size"),
        pytest.param([SSD, FAST, FASTER], "largest", FAST, id="by size alone"),
        pytest.param([SSD, HDD], "hdd", HDD, id="by kind alone"),
        pytest.param([SSD, HDD, FAST], "3TB..5TB", HDD, id="by a range of sizes"),
        pytest.param([STICK, SSD], "smallest", SSD, id="nor is a stick the smallest"),
        pytest.param([SSD, HDD], "/dev/disk/by-id/ata-SSD_870_S5Y1", SSD, id="by another name"),
        pytest.param([SSD, STICK], "4C53", STICK, id="named, a stick will do"),
    ],
)
def test_the_disk_meant_is_chosen(there: list[Disk], match: str, chosen: Disk) -> None:
    """`auto` takes the only fit disk; a name takes exactly the disk of that name."""
    assert choose(there, DiskMatch(match), LEAST) is chosen


@pytest.mark.parametrize(
    ("there", "match", "words"),
    [
        pytest.param([], "auto", ["no disk", "cables"], id="none"),
        pytest.param([SSD, HDD], "auto", ["/dev/sda", "S5Y1", "/dev/sdb", "WX42"], id="two fit"),
        pytest.param([STICK, TINY], "auto", ["removable", "too small", "2 GiB"], id="none fit"),
        pytest.param([SSD], "WX42", ["'WX42'", "/dev/sda"], id="no such"),
        pytest.param([SSD, replace(HDD, serial="S5Y1")], "S5Y1", ["path"], id="serial twice"),
        pytest.param([SSD, HDD], "nvme", ["/dev/sda", "of kind ssd"], id="none of that kind"),
        pytest.param([FAST, FASTER], "nvme", ["2 disks", "smallest or largest"], id="two of it"),
        pytest.param([SSD], "10GB..20GB", ["larger than 18.63 GiB"], id="none of that size"),
    ],
)
def test_a_doubt_is_a_refusal(there: list[Disk], match: str, words: list[str]) -> None:
    """Where it is not certain which disk is meant, all of them are listed and none is taken."""
    with pytest.raises(RefusedError) as refusal:
        choose(there, DiskMatch(match), LEAST)
    assert all(word in str(refusal.value) for word in words)


@pytest.mark.parametrize(
    "match", ["", " ", "/dev/sda", "/dev/nvme0n1", "a\n", "WD-1\nd-i x y z", "/dev/disk/by-id/\\"]
)
def test_what_may_be_another_disk_tomorrow_is_no_name(match: str) -> None:
    """The kernel gives its names in the order in which disks answer; and an answer file's line
    ends at a line break, and goes on after a backslash."""
    with pytest.raises(InputError):
        DiskMatch(match)


def test_of_equal_disks_the_serial_number_decides() -> None:
    """Not the order in which the kernel found them."""
    first, second = (replace(FAST, path=f"/dev/nvme{n}n1", serial=f"N{9 - n}") for n in (0, 1))
    for there in ([first, second], [second, first]):
        assert choose(there, DiskMatch("smallest nvme"), LEAST) is second


def test_a_blank_disk_may_be_written() -> None:
    """Nothing on it, nothing to lose: no permission is needed."""
    guard(SSD, (), LEAST)


@pytest.mark.parametrize("name", ["S5Y1", "/dev/sda", "/dev/disk/by-id/ata-SSD_870_S5Y1"])
def test_a_named_disk_may_be_erased(name: str) -> None:
    """`erase` names a disk by its serial number or by a path of it."""
    guard(FULL, ("WX42", name), LEAST)


@pytest.mark.parametrize("erase", [(), ("WX42",), ("/dev/sdb",), ("",), ("auto",), ("S5Y",)])
def test_what_is_on_a_disk_is_safe(erase: tuple[str, ...]) -> None:
    """Without that disk's name in `erase`, the refusal says what is on it and the way out."""
    with pytest.raises(RefusedError) as refusal:
        guard(FULL, erase, LEAST)
    text = str(refusal.value)
    assert "/dev/sda" in text
    assert "ext4 (root) on sda1" in text
    assert "--erase S5Y1" in text


def test_a_disk_without_a_serial_number_is_erased_by_path() -> None:
    """The way out names what there is; an empty serial number matches nothing."""
    nameless = replace(FULL, serial="")
    with pytest.raises(RefusedError, match="--erase /dev/sda"):
        guard(nameless, ("",), LEAST)


def test_a_small_disk_is_refused_with_both_sizes() -> None:
    """Permission to erase does not make a disk larger."""
    with pytest.raises(RefusedError, match=r"needs 2 GiB, it has 1 GiB"):
        guard(TINY, ("T1",), LEAST)


@pytest.mark.parametrize(
    "disk", [LOCKED, replace(SSD, unreadable="Input/output error")], ids=["protected", "unreadable"]
)
def test_a_disk_that_cannot_be_judged_is_refused(disk: Disk) -> None:
    """Write-protected and unreadable disks are refused, whatever `erase` says."""
    with pytest.raises(RefusedError):
        guard(disk, disk.names, LEAST)


@pytest.mark.parametrize(
    "now",
    [
        pytest.param([], id="gone"),
        pytest.param([HDD], id="another path"),
        pytest.param([replace(SSD, serial="other")], id="another disk behind the same path"),
        pytest.param([replace(SSD, size=SSD.size + 512)], id="another size"),
        pytest.param([replace(SSD, found=("ext4",))], id="no longer blank"),
    ],
)
def test_a_disk_that_changed_meanwhile_is_not_written(now: list[Disk]) -> None:
    """Just before the first write the disk must still be the one that was chosen."""
    confirm(SSD, [HDD, SSD])
    with pytest.raises(RefusedError, match="/dev/sda"):
        confirm(SSD, now)


texts = st.text("abcDEF019/-", max_size=6)
any_disk = st.builds(
    Disk,
    path=st.sampled_from(["/dev/sda", "/dev/sdb", "/dev/nvme0n1"]),
    size=st.integers(0, 8 * GIB),
    serial=texts,
    removable=st.booleans(),
    read_only=st.booleans(),
    transport=st.sampled_from(["", "usb", "nvme"]),
    found=st.lists(st.just("ext4"), max_size=2).map(tuple),
)


@given(
    st.lists(any_disk, max_size=4, unique_by=lambda disk: disk.path),
    st.one_of(st.just("auto"), texts),
    st.lists(texts, max_size=3).map(tuple),
)
def test_no_order_reaches_a_disk_with_contents_unnamed(
    there: list[Disk], match: str, erase: tuple[str, ...]
) -> None:
    """Whatever is there and whatever is asked: what passes is blank, or was named to be erased."""
    try:
        disk = choose(there, DiskMatch(match), LEAST)
        guard(disk, erase, LEAST)
    except (InputError, RefusedError):
        return
    assert disk in there
    assert not disk.read_only
    assert disk.size >= LEAST
    assert not disk.found or {disk.serial, disk.path} & set(filter(None, erase))
    assert match in ("auto", disk.serial, disk.path)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1 << 20, "1 MiB"), (6 << 30, "6 GiB"), (3 << 40, "3 TiB")]
)
def test_sizes_are_readable(size: int, text: str) -> None:
    """Sizes are binary units with at most four digits."""
    assert size_text(size) == text
