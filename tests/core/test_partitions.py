"""Partition tables: those that tools make are read, and those that nobody makes are refused."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.partitions import BIOS_BOOT, ESP, Read, TableError, find

MIB = 1 << 20
SIZE = 8 * MIB
GPT = f"""label: gpt
size=1MiB, type={BIOS_BOOT}
size=2MiB, type={ESP}, name=esp
name=root
"""
MSDOS = """label: dos
unit: sectors
1 : start=2048, size=1024, type=83, bootable
2 : start=3072, size=512, type=ef
4 : start=4096, size=8192, type=5
5 : start=6144, size=1024, type=83
6 : start=9216, size=1024, type=83
"""


def reader(raw: bytes | bytearray) -> Read:
    return lambda place, length: bytes(raw[place : place + length])


def made(folder: Path, script: str) -> bytearray:
    """The octets of a disk that sfdisk has divided."""
    path = folder / "disk"
    path.write_bytes(bytes(SIZE))
    command = ["sfdisk", "-q", "--no-reread", "--no-tell-kernel", str(path)]
    subprocess.run(command, input=script.encode(), check=True)
    return bytearray(path.read_bytes())


@pytest.fixture(scope="module")
def gpt(tmp_path_factory: pytest.TempPathFactory) -> bytearray:
    return made(tmp_path_factory.mktemp("gpt"), GPT)


@pytest.fixture(scope="module")
def msdos(tmp_path_factory: pytest.TempPathFactory) -> bytearray:
    return made(tmp_path_factory.mktemp("msdos"), MSDOS)


def signed(raw: bytearray) -> bytearray:
    """With checksums that fit again, in both copies."""
    for at in (512, len(raw) - 512):
        entries, count, width = struct.unpack_from("<QII", raw, at + 72)
        total = zlib.crc32(raw[entries * 512 : entries * 512 + count * width])
        struct.pack_into("<I", raw, at + 88, total)
        struct.pack_into("<I", raw, at + 16, 0)
        struct.pack_into("<I", raw, at + 16, zlib.crc32(raw[at : at + 92]))
    return raw


def entry(raw: bytearray, number: int, form: str, at: int, value: int) -> bytearray:
    """Change a field of a partition, in both copies."""
    for head in (512, len(raw) - 512):
        place = struct.unpack_from("<Q", raw, head + 72)[0] * 512 + (number - 1) * 128 + at
        struct.pack_into(form, raw, place, value)
    return signed(raw)


def test_a_gpt(gpt: bytearray) -> None:
    """Numbers, places, types and names are what sfdisk was told."""
    found = find(reader(gpt), SIZE)
    assert (found.kind, found.sector, found.boot_code) == ("gpt", 512, False)
    assert [(part.number, part.start, part.size) for part in found.parts][:2] == [
        (1, MIB, MIB),
        (2, 2 * MIB, 2 * MIB),
    ]
    assert [(part.type, part.name) for part in found.parts][:2] == [(BIOS_BOOT, ""), (ESP, "esp")]
    assert found.parts[2].name == "root"


def test_a_gpt_of_large_sectors(gpt: bytearray) -> None:
    """Drives of 4,096 bytes a sector have the same table at other places."""
    raw, end = bytearray(SIZE), SIZE // 4096
    raw[:512] = gpt[:512]
    rows = struct.pack("<16s16sQQQ72s", b"t" * 16, b"u" * 16, 300, 400, 0, b"").ljust(
        1 << 14, b"\0"
    )
    for own, other, entries in ((1, end - 1, 2), (end - 1, 1, end - 5)):
        raw[entries * 4096 : entries * 4096 + len(rows)] = rows
        fields = (own, other, 6, end - 6, b"g" * 16, entries, 128, 128, zlib.crc32(rows))
        head = bytearray(struct.pack("<8sIIII4Q16sQIII", b"EFI PART", 0x10000, 92, 0, 0, *fields))
        struct.pack_into("<I", head, 16, zlib.crc32(head))
        raw[own * 4096 : own * 4096 + 92] = head
    found = find(reader(raw), SIZE)
    (part,) = found.parts
    assert (found.kind, found.sector) == ("gpt", 4096)
    assert (part.start, part.size) == (300 * 4096, 101 * 4096)


def test_a_gpt_on_a_file_that_grew(gpt: bytearray) -> None:
    """The second copy stays where it was: the agent moves it."""
    raw = gpt + bytes(MIB)
    assert find(reader(raw), len(raw)) == find(reader(gpt), SIZE)


def test_an_msdos_table(msdos: bytearray) -> None:
    """Primary ones have the number of their place, logical ones count from five."""
    msdos = bytearray(msdos)
    msdos[0] = 0xEB
    found = find(reader(msdos), SIZE)
    assert (found.kind, found.boot_code) == ("msdos", True)
    shown = [(part.number, part.start // 512, part.size // 512, part.type) for part in found.parts]
    assert shown == [
        (1, 2048, 1024, "83"),
        (2, 3072, 512, "ef"),
        (5, 6144, 1024, "83"),
        (6, 9216, 1024, "83"),
    ]


def test_no_table() -> None:
    """A disk without one has none; that is for others to judge."""
    assert find(reader(bytes(SIZE)), SIZE).kind == ""


def _backup_gone(raw: bytearray) -> bytearray:
    raw[-512:] = bytes(512)
    return raw


def _entries_beyond(raw: bytearray) -> bytearray:
    struct.pack_into("<Q", raw, 512 + 72, 1 << 60)
    struct.pack_into("<I", raw, 512 + 16, 0)
    struct.pack_into("<I", raw, 512 + 16, zlib.crc32(raw[512 : 512 + 92]))
    return raw


def _header(form: str, at: int, value: int) -> Callable[[bytearray], bytearray]:
    def change(raw: bytearray) -> bytearray:
        struct.pack_into(form, raw, 512 + at, value)
        struct.pack_into("<I", raw, 512 + 16, 0)
        struct.pack_into("<I", raw, 512 + 16, zlib.crc32(raw[512 : 512 + 92]))
        return raw

    return change


def _flip(at: int) -> Callable[[bytearray], bytearray]:
    def change(raw: bytearray) -> bytearray:
        raw[at] ^= 1
        return raw

    return change


HOSTILE_GPT: dict[str, tuple[Callable[[bytearray], bytearray], str]] = {
    "overlap": (lambda raw: entry(raw, 2, "<Q", 32, MIB // 512), "overlap"),
    "beyond the end": (lambda raw: entry(raw, 3, "<Q", 40, SIZE // 512), "may stand"),
    "over the table": (lambda raw: entry(raw, 1, "<Q", 32, 3), "may stand"),
    "backwards": (lambda raw: entry(raw, 3, "<Q", 40, 2 * MIB // 512 - 1), "may stand|overlap"),
    "header flipped": (_flip(512 + 60), "checksum of the first"),
    "entries flipped": (_flip(1024 + 130), "checksum of the partitions"),
    "backup flipped": (_flip(SIZE - 512 + 60), "checksum of the second"),
    "backup's entries flipped": (_flip(SIZE - 512 - 128 * 128 + 40), "checksum of the partitions"),
    "backup gone": (_backup_gone, "second copy of its GPT is not there"),
    "entries beyond": (_entries_beyond, "beyond the disk"),
    "entries of no size": (_header("<I", 84, 0), "nobody makes"),
    "four billion entries": (_header("<I", 80, 0xFFFFFFFF), "nobody makes"),
    "an unknown revision": (_header("<I", 8, 0x20000), "nobody knows"),
    "a short header": (_header("<I", 12, 20), "nobody knows"),
    "of a larger disk": (_header("<Q", 32, 1 << 40), "cut short"),
    "no protective table": (lambda raw: raw[:446] + bytes(66) + raw[512:], "no protective"),
    "two tables": (_flip(450), "know nothing of each other"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE_GPT)
def test_a_hostile_gpt(gpt: bytearray, case: str) -> None:
    """It is refused, and the reason said."""
    change, says = HOSTILE_GPT[case]
    with pytest.raises(TableError, match=says):
        find(reader(change(bytearray(gpt))), SIZE)


def test_a_gpt_that_is_cut_short(gpt: bytearray) -> None:
    """Half an image is no image."""
    with pytest.raises(TableError, match="cut short"):
        find(reader(gpt[: SIZE // 2]), SIZE // 2)


def test_partitions_with_one_guid(gpt: bytearray) -> None:
    """What fstab names must be one thing."""
    raw = bytearray(gpt)
    for start in (1024, SIZE - 512 - 128 * 128):
        raw[start + 128 + 16 : start + 128 + 32] = raw[start + 16 : start + 32]
    with pytest.raises(TableError, match="same GUID"):
        find(reader(signed(raw)), SIZE)


def test_a_protective_table_with_more(gpt: bytearray) -> None:
    """It may repeat a partition, and must not have one of its own."""
    raw = bytearray(gpt)
    struct.pack_into("<B3xB3xII", raw, 462, 0x80, 0xEF, 2 * MIB // 512, 2 * MIB // 512)
    assert find(reader(raw), SIZE).kind == "gpt"
    struct.pack_into("<B3xB3xII", raw, 462, 0x80, 0x83, 5 * MIB // 512, MIB // 512)
    with pytest.raises(TableError, match="has not"):
        find(reader(raw), SIZE)


def record(raw: bytearray, table: int, number: int, kind: int, start: int, count: int) -> bytearray:
    """Write a line of an MSDOS table; `table` is its sector."""
    place = table * 512 + 446 + (number - 1) * 16
    struct.pack_into("<B3xB3xII", raw, place, 0, kind, start, count)
    raw[table * 512 + 510 : table * 512 + 512] = b"\x55\xaa"
    return raw


def chained(*links: tuple[int, int]) -> bytearray:
    """An extended partition whose tables say (start of the logical one, next table)."""
    raw = record(bytearray(MIB), 0, 1, 5, 64, 1024)
    place = 64
    for start, following in links:
        record(raw, place, 1, 0x83, start, 8)
        if following:
            record(raw, place, 2, 5, following, 64)
            place = 64 + following
    return raw


def test_logical_partitions() -> None:
    """Each stands where its own table says."""
    parts = find(reader(chained((8, 64), (8, 128), (8, 0))), MIB).parts
    assert [(part.number, part.start // 512) for part in parts] == [(5, 72), (6, 136), (7, 200)]


HOSTILE_MSDOS: dict[str, tuple[bytearray, str]] = {
    "overlap": (record(record(bytearray(MIB), 0, 1, 0x83, 1, 100), 0, 2, 0x83, 50, 10), "overlap"),
    "beyond the end": (record(bytearray(MIB), 0, 1, 0x83, 1, 1 << 20), "goes from"),
    "over itself": (record(bytearray(MIB), 0, 1, 0x83, 0, 10), "goes from"),
    "of no size": (record(bytearray(MIB), 0, 1, 0x83, 1, 0), "goes from"),
    "a loop to the first": (chained((8, 64), (8, 0))[: 128 * 512], "goes from|no table|come back"),
    "two extended": (
        record(record(bytearray(MIB), 0, 1, 5, 1, 100), 0, 2, 15, 200, 10), "two extended",
    ),
    "a table within a partition": (
        record(record(record(chained((8, 64), (8, 0)), 64, 1, 0x83, 8, 100), 128, 1, 0x83, 60, 8),
               128, 2, 0, 0, 0), "overlap|within another",
    ),
    "no protected GPT": (record(bytearray(MIB), 0, 1, 0xEE, 1, 2047), "announces"),
    "no table at all": (bytearray(b"\x7f" * 510 + b"\x55\xaa" + bytes(MIB)), "no partition table"),
    "logical beyond its place": (chained((2000, 0)), "goes from"),
    "next beyond its place": (chained((8, 1025)), "outside|no table"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE_MSDOS)
def test_a_hostile_msdos_table(case: str) -> None:
    """It is refused, and the reason said."""
    raw, says = HOSTILE_MSDOS[case]
    with pytest.raises(TableError, match=says):
        find(reader(raw), len(raw))


def test_logical_partitions_in_a_circle() -> None:
    """The chain is followed once."""
    raw = chained((8, 64), (8, 128), (8, 0))
    record(raw, 64 + 128, 2, 5, 64, 64)
    with pytest.raises(TableError, match="come back"):
        find(reader(raw), MIB)
    itself = chained((8, 0))
    record(itself, 64, 2, 5, 0, 64)
    with pytest.raises(TableError, match="come back"):
        find(reader(itself), MIB)


@given(st.data())
def test_octets_changed_at_random(gpt: bytearray, msdos: bytearray, data: st.DataObject) -> None:
    """Whatever is there: partitions apart from each other on the disk, or a refusal."""
    raw = bytearray(data.draw(st.sampled_from([gpt, msdos])))
    again = data.draw(st.booleans())
    heads = [*range(440, 1024 + 512), *range(2 * MIB + 446, 2 * MIB + 512)]
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.sampled_from(heads))] = data.draw(st.integers(0, 255))
    if again:
        with contextlib.suppress(struct.error, OverflowError):  # not all of it can be signed
            signed(raw)
    try:
        found = find(reader(raw), SIZE)
    except TableError:
        return
    ends = 0
    for part in sorted(found.parts, key=lambda one: one.start):
        assert part.start >= ends
        ends = part.start + part.size
    assert ends <= SIZE
