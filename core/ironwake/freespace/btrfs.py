"""btrfs on one device: the tree of extents says what is used, the tree of chunks where that is.

Layout: "On-disk Format" of btrfs' documentation. All numbers are little-endian. Trees are never
changed in place, so whatever the superblock leads to is whole; only what fsync has put into a log
beside them is not in the tree of extents, and then nothing counts as free.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ironwake.freespace.reading import Read, Run

_SUPERBLOCK: Final = 0x10000
_COPIES: Final = (_SUPERBLOCK, 0x4000000, 0x4000000000)
MARK_AT, MARK = _SUPERBLOCK + 0x40, b"_BHRfS_M"
_FIRST: Final = 1 << 20  # nothing is put below: boot loaders are there
_STRIPE: Final = 1 << 16
_KNOWN: Final = 0x77F  # incompat flags: what changes neither chunks nor extents
_SYSTEM_CHUNKS: Final = 0x32B
_EXTENTS: Final = 2  # number of that tree
_DUP: Final = 0x20  # the only kind of chunk besides the plain that one device has
_EXTENT_ITEM, _METADATA_ITEM, _ROOT_ITEM, _CHUNK_ITEM = 168, 169, 132, 228
_HEADER, _ITEM, _POINTER, _KEY = 101, 25, 33, 17
_DEEPEST: Final = 8

Key = tuple[int, int, int]


class _OddError(Exception):
    """Something is not as it should be: nothing is free."""


@dataclass(frozen=True)
class _Super:
    size: int
    used: int
    device: int
    node: int  # bytes
    roots: tuple[int, int]  # (where, level), as of the tree of chunks
    chunks: tuple[int, int]
    system: bytes


@dataclass(frozen=True)
class _Chunk:
    """A stretch of the addresses that trees speak of, and where it stands on the device."""

    start: int
    length: int
    places: tuple[int, ...]


def free(read: Read) -> Iterator[Run]:
    """As of `freespace.free`."""
    try:
        yield from _free(read)
    except (_OddError, struct.error, IndexError):
        return


def _free(read: Read) -> list[Run]:
    shape = _shape(read(_SUPERBLOCK, 4096))
    chunks = _system_chunks(shape)
    chunks = sorted(_chunks(_Trees(read, shape, chunks)), key=lambda one: one.start)
    trees = _Trees(read, shape, chunks)
    used, total = _used(trees)
    if total != shape.used:
        raise _OddError
    taken = [(0, _FIRST), *((at, _STRIPE) for at in _COPIES)]
    for start, length in used:
        taken += trees.places(start, length)
    found, end = [], 0
    for start, length in sorted(taken):
        if start > shape.size:
            break
        if start > end:
            found.append((end, start - end))
        end = max(end, start + length)
    return found + ([(end, shape.size - end)] if end < shape.size else [])


def _shape(raw: bytes) -> _Super:
    if len(raw) < 4096 or struct.unpack_from("<Q", raw, 0x30)[0] != _SUPERBLOCK:
        raise _OddError
    root, chunk_root, log_root, _, _, used, _, devices = struct.unpack_from("<8Q", raw, 0x50)
    (node,) = struct.unpack_from("<I", raw, 0x94)
    (system,) = struct.unpack_from("<I", raw, 0xA0)
    (incompatible,) = struct.unpack_from("<Q", raw, 0xBC)
    device, size = struct.unpack_from("<QQ", raw, 0xC9)
    if devices != 1 or log_root or incompatible & ~_KNOWN or system > 2048:
        raise _OddError
    if node not in (1 << n for n in range(12, 17)):
        raise _OddError
    return _Super(
        size,
        used,
        device,
        node,
        (root, raw[0xC6]),
        (chunk_root, raw[0xC7]),
        raw[_SYSTEM_CHUNKS : _SYSTEM_CHUNKS + system],
    )


def _system_chunks(shape: _Super) -> list[_Chunk]:
    """Those that the tree of chunks itself stands in: the superblock has them."""
    found, place = [], 0
    while place < len(shape.system):
        key = struct.unpack_from("<QBQ", shape.system, place)
        chunk, size = _chunk(key, shape.system[place + _KEY :], shape)
        found.append(chunk)
        place += _KEY + size
    return sorted(found, key=lambda one: one.start)


def _chunk(key: Key, raw: bytes, shape: _Super) -> tuple[_Chunk, int]:
    """It, and its bytes."""
    length, _, _, kind = struct.unpack_from("<4Q", raw)
    (stripes,) = struct.unpack_from("<H", raw, 44)
    if key[1] != _CHUNK_ITEM or kind & ~7 & ~_DUP or not 1 <= stripes <= 2:
        raise _OddError
    places = []
    for number in range(stripes):
        device, at = struct.unpack_from("<QQ", raw, 48 + 32 * number)
        if device != shape.device or at + length > shape.size:
            raise _OddError
        places.append(at)
    return _Chunk(key[2], length, tuple(places)), 48 + 32 * stripes


class _Trees:
    """B-trees, by addresses that chunks give a place."""

    def __init__(self, read: Read, shape: _Super, chunks: list[_Chunk]) -> None:
        self._read, self.shape, self._chunks = read, shape, chunks
        self._starts = [one.start for one in chunks]

    def places(self, start: int, length: int) -> list[Run]:
        """Where an extent stands on the device: once, or twice."""
        number = bisect_right(self._starts, start) - 1
        if number < 0:
            raise _OddError
        chunk = self._chunks[number]
        if start + length > chunk.start + chunk.length:
            raise _OddError
        return [(place + start - chunk.start, length) for place in chunk.places]

    def items(self, root: tuple[int, int]) -> Iterator[tuple[Key, bytes]]:
        """All of a tree, in order."""
        place, level = root
        if level >= _DEEPEST:
            raise _OddError
        (at, _), *_ = self.places(place, self.shape.node)
        raw = self._read(at, self.shape.node)
        own, _, _, _, _, count = struct.unpack_from("<QQ16sQQI", raw, 48)
        if len(raw) < self.shape.node or own != place or raw[100] != level:
            raise _OddError
        if not level:
            yield from _leaf(raw, count)
            return
        for number in range(count):
            (below,) = struct.unpack_from("<Q", raw, _HEADER + number * _POINTER + _KEY)
            yield from self.items((below, level - 1))


def _leaf(raw: bytes, count: int) -> Iterator[tuple[Key, bytes]]:
    for number in range(count):
        *key, place, size = struct.unpack_from("<QBQII", raw, _HEADER + number * _ITEM)
        begin = _HEADER + place
        if begin + size > len(raw):
            raise _OddError
        yield (key[0], key[1], key[2]), raw[begin : begin + size]


def _chunks(trees: _Trees) -> Iterator[_Chunk]:
    for key, raw in trees.items(trees.shape.chunks):
        if key[1] == _CHUNK_ITEM:
            yield _chunk(key, raw, trees.shape)[0]


def _used(trees: _Trees) -> tuple[list[Run], int]:
    """(where, how long) by address, and all of it in bytes."""
    found: list[Run] = []
    total, last = 0, -1
    for key, _ in trees.items(_extents(trees)):
        if key[1] not in (_EXTENT_ITEM, _METADATA_ITEM):
            continue
        length = key[2] if key[1] == _EXTENT_ITEM else trees.shape.node
        if key[0] < last:
            raise _OddError
        found.append((key[0], length))
        total, last = total + length, key[0] + length
    return found, total


def _extents(trees: _Trees) -> tuple[int, int]:
    """The root of that tree."""
    for key, raw in trees.items(trees.shape.roots):
        if key[:2] == (_EXTENTS, _ROOT_ITEM):
            return struct.unpack_from("<Q", raw, 176)[0], raw[238]
    raise _OddError
