"""Where partitions stand: whole, apart, and in order; what is kept does not move."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.disk import Disk, Part
from ironwake.errors import RefusedError
from ironwake.layout.extents import extents
from ironwake.layout.model import DiskLayout, Format, Partition, Table, VolumeName
from ironwake.sizes import MIB, Size
from tests.layout.rig import GIB, ONE

SIZES = st.one_of(
    st.just("grow"),
    st.integers(1, 30).map(lambda n: f"{n}%"),
    st.integers(1, 6000).map(lambda n: f"{n}MiB"),
    st.integers(2, 6000).map(lambda n: f"{n}MB"),
)


def parts(*sizes: str) -> tuple[Partition, ...]:
    return tuple(Partition(VolumeName(f"p{n}"), size=Size(size)) for n, size in enumerate(sizes))


@given(
    st.lists(SIZES, min_size=1, max_size=9).filter(
        lambda sizes: sum(float(s[:-1]) for s in sizes if s[-1] == "%") <= 100
    ),
    st.integers(1 * GIB, 30 * GIB),
    st.sampled_from(Table),
)
def test_they_fit_or_are_refused(sizes: list[str], size: int, table: Table) -> None:
    """Each has at least what was asked for, none touches another; with one that grows, all of the
    disk is used."""
    wanted = DiskLayout(VolumeName("d"), parts(*sizes), table=table)
    disk = replace(ONE, size=size // 512 * 512)
    try:
        found = extents(wanted, disk)
    except RefusedError:
        fixed = sum(Size(s).of(disk.size) or MIB for s in sizes)
        assert fixed + (len(sizes) * 2 + 4) * MIB > disk.size
        return
    end = MIB
    for one in found:
        assert one.start >= end
        assert one.start % MIB == one.size % MIB == 0
        asked = one.partition.size.of(disk.size - 2 * MIB)
        assert asked is None or one.size >= min(asked, one.size // MIB * MIB)
        end = one.end
    assert end <= disk.size - MIB
    if "grow" in sizes:
        assert disk.size - end < 3 * MIB
        growers = [one.size for one in found if one.partition.size.grows]
        assert max(growers) - min(growers) < len(growers) * MIB


def kept(*layout: str, there: tuple[Part, ...]) -> tuple[DiskLayout, Disk]:
    """`keep:` before a name keeps it; the others grow."""
    wanted = tuple(
        Partition(VolumeName(name.removeprefix("keep:")), keep=name.startswith("keep:"),
                  format=Format.EXT4)
        for name in layout
    )  # fmt: skip
    return DiskLayout(VolumeName("d"), wanted), replace(ONE, table="gpt", parts=there)


HOME = Part(3, 4 * GIB, 2 * GIB, name="home", uuid="u-1", type="T")


def test_what_is_kept_stays_where_it_is() -> None:
    """Others share the room before it, and the room behind it."""
    wanted, disk = kept("root", "keep:home", "more", there=(HOME,))
    root, home, more = extents(wanted, disk)
    assert (home.start, home.size, home.kept) == (HOME.start, HOME.size, HOME)
    assert (root.start, root.end) == (MIB, HOME.start)
    assert (more.start, more.end) == (6 * GIB, disk.size - MIB)


def test_what_is_kept_may_end_where_the_disk_does() -> None:
    """Other installers go up to the last sectors that a GPT leaves, and begin at its first ones."""
    size = ONE.size - 33 * 512 - 4 * GIB
    wanted, disk = kept("root", "keep:home", there=(replace(HOME, size=size),))
    assert [one.end for one in extents(wanted, disk)] == [HOME.start, ONE.size - 33 * 512]
    wanted, disk = kept(
        "keep:home", "root", there=(replace(HOME, start=34 * 512, size=1000 * 512),)
    )
    assert [one.start for one in extents(wanted, disk)] == [34 * 512, MIB]


@pytest.mark.parametrize(
    ("layout", "there", "says"),
    [
        (("root", "keep:data"), (HOME,), "has no such partition: home"),
        (("root", "keep:data"), (), "it has none"),
        (
            ("keep:home", "keep:old"),
            (replace(HOME, number=1, start=MIB, name="old"), HOME),
            "order",
        ),
        (("root", "keep:home"), (replace(HOME, start=MIB),), "which has 0 B"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    layout: tuple[str, ...], there: tuple[Part, ...], says: str
) -> None:
    """Before anything is written."""
    with pytest.raises(RefusedError, match=says):
        extents(*kept(*layout, there=there))


def test_more_than_four_msdos_partitions_are_logical() -> None:
    """Three primary ones, and the fourth holds the others, which count from five."""
    wanted = DiskLayout(VolumeName("d"), parts(*["1GiB"] * 5), table=Table.MSDOS)
    found = extents(wanted, ONE)
    assert [one.number for one in found] == [1, 2, 3, 5, 6]
    assert all(b.start - a.end >= MIB for a, b in pairwise(found[2:]))
