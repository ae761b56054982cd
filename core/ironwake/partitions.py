"""Partition tables as they stand on a disk, read with mistrust: bytes in, partitions out.

GPT after UEFI 2.10 §5.3, MSDOS tables as every BIOS takes them. A table that two readers could take
for different things is refused: overlapping or endless partitions, chains that come back to
themselves, checksums that do not fit, a second copy that says otherwise. What is refused here would
be found by the firmware or the kernel of a machine, after its disk was written.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ironwake.disk import Part
from ironwake.errors import RefusedError

# (where, how many bytes) → bytes, fewer where the disk ends.
Read = Callable[[int, int], bytes]

_HEADER = struct.Struct("<8sIIII4Q16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
_RECORD = struct.Struct("<B3sB3sII")
_SIGNATURE = b"EFI PART"
_REVISION = 0x10000
_PROTECTIVE = 0xEE
_EXTENDED = (0x05, 0x0F, 0x85)
_MOST = 1024  # partitions of a GPT that we look at; tools make 128
_LOGICAL = 128  # of an MSDOS table; the kernel takes fewer
_SECTOR = 512  # an MSDOS table's, always
_CODE = 440  # octets of an MSDOS table before the disk's number: boot code

BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649"
ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
ESP_MSDOS = "ef"


class TableError(RefusedError):
    """A partition table that must not get onto a disk."""


@dataclass(frozen=True)
class Found:
    """What the table says. `kind` is `gpt`, `msdos`, or "" where there is none.

    `sector` is the table's unit in bytes. `boot_code`: there is something that a BIOS would run.
    """

    kind: str
    parts: tuple[Part, ...] = ()
    sector: int = _SECTOR
    boot_code: bool = False


@dataclass(frozen=True)
class _Record:
    number: int
    kind: int
    start: int
    count: int

    @property
    def end(self) -> int:
        return self.start + self.count


@dataclass(frozen=True)
class _Header:
    own: int
    other: int
    first: int
    last: int
    guid: bytes
    entries: int
    count: int
    width: int
    sum: int


def find(read: Read, size: int) -> Found:
    """The disk's table; TableError says what is wrong with it.

    :param size: of the disk, in bytes
    """
    head = read(0, _SECTOR)
    sector = next((unit for unit in (512, 4096) if read(unit, 8) == _SIGNATURE), 0)
    if len(head) < _SECTOR or head[510:] != b"\x55\xaa":
        if sector:
            raise TableError("it has a GPT, and no protective MSDOS table before it")
        return Found("")
    records = _records(head)
    code = any(head[:_CODE])
    protective = any(record.kind == _PROTECTIVE for record in records)
    if protective != bool(sector):
        raise TableError(
            "its MSDOS table announces a GPT that is not there"
            if protective
            else "it has an MSDOS table and a GPT that know nothing of each other"
        )
    if not sector:
        return Found("msdos", _msdos(read, records, size // _SECTOR), _SECTOR, code)
    parts = _gpt(read, size, sector)
    _hybrid(records, parts)
    return Found("gpt", parts, sector, code)


def _gpt(read: Read, size: int, sector: int) -> tuple[Part, ...]:
    end = size // sector
    first = _header(read, 1, sector, end)
    raw = _entries(read, first, sector)
    second = _header(read, first.other, sector, end)
    same = (first.guid, first.count, first.width, first.sum, first.first, first.last)
    if same != (second.guid, second.count, second.width, second.sum, second.first, second.last):
        raise TableError("the two copies of its GPT say different things")
    _entries(read, second, sector)
    parts = [
        _part(number, raw[start : start + first.width], first, sector)
        for number, start in enumerate(range(0, len(raw), first.width), start=1)
        if any(raw[start : start + 16])
    ]
    _apart(parts)
    uuids = [part.uuid for part in parts]
    if len(set(uuids)) < len(uuids):
        raise TableError("two partitions of its GPT have the same GUID")
    return tuple(parts)


def _header(read: Read, place: int, sector: int, end: int) -> _Header:
    copy = "first" if place == 1 else "second"
    raw = read(place * sector, sector)
    if len(raw) < sector or raw[:8] != _SIGNATURE:
        raise TableError(f"the {copy} copy of its GPT is not there")
    (_, revision, length, check, _, own, other, first, last, guid, entries, count, width, total) = (
        _HEADER.unpack_from(raw)
    )
    if revision != _REVISION or not _HEADER.size <= length <= sector:
        raise TableError(f"the {copy} copy of its GPT is of a kind that nobody knows")
    if zlib.crc32(raw[:16] + bytes(4) + raw[20:length]) != check:
        raise TableError(f"the checksum of the {copy} copy of its GPT is wrong")
    if own != place or (place != 1 and other != 1):
        raise TableError(f"the {copy} copy of its GPT stands in the wrong place")
    if other >= end:
        raise TableError(
            f"its GPT is of a larger disk: the second copy stands in sector {other},"
            f" and the disk has {end}: it is cut short"
        )
    if width < _ENTRY.size or width > 4096 or width & (width - 1) or not 0 < count <= _MOST:
        raise TableError(f"its GPT has {count} entries of {width} bytes, which nobody makes")
    sectors = -(-count * width // sector)
    inside = entries >= 2 and entries + sectors <= first if place == 1 else entries > last
    if not inside or not first <= last < end or entries + sectors > end:
        raise TableError(f"the {copy} copy of its GPT has a place for partitions beyond the disk")
    return _Header(own, other, first, last, guid, entries, count, width, total)


def _entries(read: Read, header: _Header, sector: int) -> bytes:
    raw = read(header.entries * sector, header.count * header.width)
    if len(raw) < header.count * header.width or zlib.crc32(raw) != header.sum:
        raise TableError("the checksum of the partitions of its GPT is wrong")
    return raw


def _part(number: int, raw: bytes, header: _Header, sector: int) -> Part:
    kind, guid, first, last, _, name = _ENTRY.unpack_from(raw)
    if not header.first <= first <= last <= header.last:
        raise TableError(
            f"partition {number} goes from sector {first} to {last},"
            f" and partitions may stand from {header.first} to {header.last}"
        )
    return Part(
        number=number,
        start=first * sector,
        size=(last - first + 1) * sector,
        type=str(uuid.UUID(bytes_le=kind)),
        uuid=str(uuid.UUID(bytes_le=guid)),
        name=name.decode("utf-16-le", "replace").partition("\0")[0],
    )


def _hybrid(records: Sequence[_Record], parts: Sequence[Part]) -> None:
    """A protective table may repeat partitions of the GPT, for old loaders; it may add none."""
    starts = {part.start // _SECTOR for part in parts}
    for record in records:
        if record.kind == _PROTECTIVE:
            continue
        if record.kind in _EXTENDED or record.start not in starts:
            raise TableError("its protective MSDOS table has a partition that its GPT has not")


def _records(raw: bytes) -> list[_Record]:
    found = []
    for number, place in enumerate(range(446, 510, _RECORD.size), start=1):
        status, _, kind, _, start, count = _RECORD.unpack_from(raw, place)
        if not kind:
            continue
        if status not in (0, 0x80):
            raise TableError("what stands in its first sector is no partition table")
        found.append(_Record(number, kind, start, count))
    return found


def _msdos(read: Read, records: Sequence[_Record], end: int) -> tuple[Part, ...]:
    for record in records:
        _inside(record, 1, end)
    extended = [record for record in records if record.kind in _EXTENDED]
    if len(extended) > 1:
        raise TableError("its MSDOS table has two extended partitions")
    parts = [_dos_part(record) for record in records]
    _apart(parts)
    found = [part for part, row in zip(parts, records, strict=True) if row not in extended]
    for container in extended:
        found += _chain(read, container)
    return tuple(found)


def _chain(read: Read, container: _Record) -> list[Part]:
    """The logical partitions: each has a small table of its own, which names the next one."""
    found: list[Part] = []
    tables: list[int] = []
    place = container.start
    while True:
        if place in tables or len(tables) >= _LOGICAL:
            raise TableError("its logical partitions come back to themselves, or have no end")
        tables.append(place)
        raw = read(place * _SECTOR, _SECTOR)
        if len(raw) < _SECTOR or raw[510:] != b"\x55\xaa":
            raise TableError(f"there is no table of a logical partition in sector {place}")
        rows = _records(raw)
        for row in (row for row in rows if row.kind not in _EXTENDED):
            own = _Record(5 + len(found), row.kind, place + row.start, row.count)
            _inside(own, container.start + 1, container.end)
            found.append(_dos_part(own))
        links = [row for row in rows if row.kind in _EXTENDED]
        if len(links) > 1 or len(rows) - len(links) > 1:
            raise TableError(f"the table in sector {place} has more than one logical partition")
        if not links:
            break
        place = container.start + links[0].start
        if place >= container.end:
            raise TableError("a logical partition stands outside of the extended one")
    _apart(found)
    for table in tables:
        if any(part.start <= table * _SECTOR < part.start + part.size for part in found):
            raise TableError("the table of a logical partition stands within another one")
    return found


def _dos_part(record: _Record) -> Part:
    start, size = record.start * _SECTOR, record.count * _SECTOR
    return Part(record.number, start, size, f"{record.kind:02x}")


def _inside(record: _Record, first: int, end: int) -> None:
    if record.count and first <= record.start and record.end <= end:
        return
    raise TableError(
        f"a partition goes from sector {record.start} for {record.count} sectors,"
        f" and there are sectors {first} to {end - 1} for it"
    )


def _apart(parts: Sequence[Part]) -> None:
    ordered = sorted(parts, key=lambda part: part.start)
    for one, other in pairwise(ordered):
        if one.start + one.size > other.start:
            raise TableError(f"its partitions {one.number} and {other.number} overlap")
