"""NTFS: one bitmap of all clusters, which is a file of its own.

Layout: ntfs-3g's layout.h. All numbers are little-endian. A volume counts as closed where neither
its flags nor its log say otherwise; the log's version is 2.0 while Windows sleeps on it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ironwake.freespace.reading import Read, Run, zero_runs

MARK_AT, MARK = 3, b"NTFS    "
_LOG_FILE, _VOLUME, _BITMAP = 2, 3, 6  # numbers of records of the master file table
_VOLUME_INFORMATION, _DATA, _END = 0x70, 0x80, 0xFFFFFFFF  # types of attributes
_NOT_CLOSED: Final = 0x4007  # dirty, log to be resized, to be upgraded, being checked
_NO_CLIENT: Final = 0xFFFF
_CLEAN: Final = 0x2  # of a restart area
_RESTART_PAGE: Final = 4096
_MOST_RECORD: Final = 1 << 16


@dataclass(frozen=True)
class _Volume:
    cluster: int  # bytes
    clusters: int
    table: int  # where the master file table begins, in bytes
    record: int  # bytes


@dataclass(frozen=True)
class _Attribute:
    """`value` of one that stands in its record; `runs` (bytes on the volume) and `size` of one that
    does not."""

    value: bytes = b""
    runs: tuple[Run, ...] = ()
    size: int = 0


def free(read: Read) -> Iterator[Run]:
    """As of `freespace.free`; runs of less than eight clusters are left out."""
    volume = _volume(read(0, 512))
    if volume is None or not _closed(read, volume):
        return
    found = _attribute(read, volume, _BITMAP, _DATA)
    needed = -(-volume.clusters // 8)
    if found is None or found.size < needed:
        return
    bitmap = b"".join(read(start, length) for start, length in found.runs)[:needed]
    places = (volume.table, *(start for start, _ in found.runs))
    if len(bitmap) < needed or not all(_taken(bitmap, place // volume.cluster) for place in places):
        return
    for start, length in zero_runs(bitmap, volume.clusters):
        yield start * volume.cluster, length * volume.cluster


def _taken(bitmap: bytes, cluster: int) -> bool:
    return bool(bitmap[cluster // 8] & 1 << cluster % 8)


def _volume(raw: bytes) -> _Volume | None:
    if len(raw) < 512:
        return None
    sector, scale = struct.unpack_from("<HB", raw, 0x0B)
    (sectors,) = struct.unpack_from("<Q", raw, 0x28)
    (table,) = struct.unpack_from("<Q", raw, 0x30)
    (per_record,) = struct.unpack_from("<b", raw, 0x40)
    many = 1 << (256 - scale) if scale > 0x80 else scale
    cluster = sector * many
    if sector not in (512, 1024, 2048, 4096) or not 0 < cluster <= 1 << 21:
        return None
    record = 1 << -per_record if per_record < 0 else per_record * cluster
    clusters = sectors // many
    if not 256 <= record <= _MOST_RECORD or not 0 < table < clusters:
        return None
    return _Volume(cluster, clusters, table * cluster, record)


def _closed(read: Read, volume: _Volume) -> bool:
    told = _attribute(read, volume, _VOLUME, _VOLUME_INFORMATION)
    if told is None or len(told.value) < 12:
        return False
    if struct.unpack_from("<H", told.value, 10)[0] & _NOT_CLOSED:
        return False
    log = _attribute(read, volume, _LOG_FILE, _DATA)
    if log is None or not log.runs or log.runs[0][1] < 2 * _RESTART_PAGE:
        return False
    start = log.runs[0][0]
    pages = [read(start + at, _RESTART_PAGE) for at in (0, _RESTART_PAGE)]
    if all(page == b"\xff" * _RESTART_PAGE for page in pages):
        return True  # it is new, or was emptied
    areas = [area for page in pages if (area := _restart(page))]
    return bool(areas) and max(areas)[1]


def _restart(page: bytes) -> tuple[int, bool] | None:
    """(how late, whether it was closed) of a page of the log that says where to begin."""
    if len(page) < _RESTART_PAGE or page[:4] != b"RSTR":
        return None
    place, minor, major = struct.unpack_from("<HHH", page, 0x18)
    if place + 16 > 510:
        return None
    (number,) = struct.unpack_from("<Q", page, place)
    client, flags = struct.unpack_from("<HH", page, place + 12)
    closed = (client == _NO_CLIENT or bool(flags & _CLEAN)) and (major, minor) == (1, 1)
    return number, closed


def _attribute(read: Read, volume: _Volume, number: int, wanted: int) -> _Attribute | None:
    """Of a record, the attribute without a name; None where it is elsewhere, or in pieces."""
    raw = _record(read, volume, number)
    place = struct.unpack_from("<H", raw, 20)[0] if raw else 0
    while raw and place + 64 <= len(raw):
        kind, length = struct.unpack_from("<II", raw, place)
        if kind == _END or length < 24 or place + length > len(raw):
            break
        if kind == wanted and not raw[place + 9]:
            return _read_attribute(raw[place : place + length], volume)
        place += length
    return None


def _record(read: Read, volume: _Volume, number: int) -> bytes:
    """With the last two bytes of each sector put back where they were; b"" where it is none."""
    raw = bytearray(read(volume.table + number * volume.record, volume.record))
    if len(raw) < volume.record or raw[:4] != b"FILE":
        return b""
    place, count = struct.unpack_from("<HH", raw, 4)
    if (count - 1) * 512 != len(raw) or place + 2 * count > 510:
        return b""
    mark = raw[place : place + 2]
    for sector in range(1, count):
        end = sector * 512
        if raw[end - 2 : end] != mark:
            return b""  # a write that was torn
        raw[end - 2 : end] = raw[place + 2 * sector : place + 2 * sector + 2]
    if place >= 48 and struct.unpack_from("<I", raw, 44)[0] != number:  # since version 3.1
        return b""  # the table goes on elsewhere
    in_use = struct.unpack_from("<H", raw, 22)[0] & 1
    return bytes(raw) if in_use and not any(raw[32:38]) else b""


def _read_attribute(raw: bytes, volume: _Volume) -> _Attribute | None:
    if not raw[8]:
        length, place = struct.unpack_from("<IH", raw, 16)
        return _Attribute(value=raw[place : place + length])
    if len(raw) < 64 or struct.unpack_from("<H", raw, 12)[0]:  # compressed, encrypted, with holes
        return None
    first, last = struct.unpack_from("<QQ", raw, 16)
    (place,) = struct.unpack_from("<H", raw, 32)
    (size,) = struct.unpack_from("<Q", raw, 48)
    runs = _runs(raw[place:], volume)
    if first or runs is None or sum(n for _, n in runs) != (last + 1) * volume.cluster:
        return None
    return _Attribute(runs=runs, size=size)


def _runs(raw: bytes, volume: _Volume) -> tuple[Run, ...] | None:
    """Mapping pairs: lengths, and distances from the run before, each of as few bytes as it has."""
    found: list[Run] = []
    place, at = 0, 0
    while place < len(raw) and raw[place]:
        lengths, distances = raw[place] & 0xF, raw[place] >> 4
        middle, end = place + 1 + lengths, place + 1 + lengths + distances
        if not lengths or not distances or end > len(raw):
            return None
        count = int.from_bytes(raw[place + 1 : middle], "little")
        at += int.from_bytes(raw[middle:end], "little", signed=True)
        if at < 0 or at + count > volume.clusters:
            return None
        found.append((at * volume.cluster, count * volume.cluster))
        place = end
    return tuple(found)
