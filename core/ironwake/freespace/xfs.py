"""XFS: in each allocation group a B+tree of its free extents, by their place.

Layout: "XFS Algorithms & Data Structures" (kernel.org), chapters 13 (allocation groups) and 14
(journaling log). All numbers are big-endian. There is no flag for a file system that was closed:
its log ends with an unmount record, or it was not.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ironwake.freespace.reading import Read, Run

MARK_AT, MARK = 0, b"XFSB"
_IN_PROGRESS: Final = 126  # mkfs was not done
_NEEDS_REPAIR, _KNOWN = 0x10, 0xFF  # sb_features_incompat: what does not change these maps
_BTREE = {4: (b"ABTB", 16), 5: (b"AB3B", 56)}  # by version: the mark, bytes of a block's header
_NONE: Final = 0xFFFFFFFF
_MOST_GROUPS: Final = 1 << 20
_DEEPEST: Final = 9  # XFS_BTREE_MAXLEVELS

_SECTOR: Final = 512  # of the log: a "basic block", whatever the disk's sectors are
_RECORD: Final = 0xFEEDBABE
_RECORD_HEAD: Final = 32 << 10  # bytes of data for each block of a record's header
_UNMOUNT: Final = 0x20  # oh_flags
_LONGEST_RECORD: Final = 1024  # in such blocks: 256 KiB, and what it is rounded up to


@dataclass(frozen=True)
class _Super:
    block: int  # bytes
    blocks: int
    per_group: int  # blocks
    groups: int
    sector: int  # bytes
    version: int
    log: int  # where it begins, in bytes
    log_length: int  # basic blocks


def free(read: Read) -> Iterator[Run]:
    """As of `freespace.free`."""
    shape = _shape(read(0, 512))
    if shape is None or not _closed(read, shape):
        return
    for group in range(shape.groups):
        begin = group * shape.per_group
        count = min(shape.per_group, shape.blocks - begin)
        for start, length in _of_group(read, shape, group, count):
            yield (begin + start) * shape.block, length * shape.block


def _shape(raw: bytes) -> _Super | None:
    if len(raw) < 512 or raw[_IN_PROGRESS]:
        return None
    block, blocks = struct.unpack_from(">IQ", raw, 4)
    (log_start,) = struct.unpack_from(">Q", raw, 48)
    per_group, groups, _, log_blocks, version, sector = struct.unpack_from(">IIIIHH", raw, 84)
    scale = raw[124]  # of a block's number within its group
    (incompatible,) = struct.unpack_from(">I", raw, 216)
    version &= 0xF
    if version not in _BTREE or block not in (1 << n for n in range(9, 17)):
        return None
    if version == 5 and incompatible & ~(_KNOWN & ~_NEEDS_REPAIR):
        return None
    if not log_start or sector not in (1 << n for n in range(9, 16)) or scale > 31:
        return None  # the log is another device's
    if not 0 < groups <= _MOST_GROUPS or not (groups - 1) * per_group < blocks:
        return None
    if blocks > groups * per_group or per_group > 1 << 31:
        return None
    log = ((log_start >> scale) * per_group + (log_start & ((1 << scale) - 1))) * block
    length = log_blocks * block // _SECTOR
    return _Super(block, blocks, per_group, groups, sector, version, log, length)


def _of_group(read: Read, shape: _Super, group: int, count: int) -> list[Run]:
    """(first, how many) in blocks of the group; nothing where the tree does not add up."""
    raw = read(group * shape.per_group * shape.block + shape.sector, 64)
    if len(raw) < 64 or raw[:4] != b"XAGF":
        return []
    number, length, root = struct.unpack_from(">III", raw, 8)
    (levels,) = struct.unpack_from(">I", raw, 28)
    (stated,) = struct.unpack_from(">I", raw, 52)
    if number != group or length != count or not 0 < levels <= _DEEPEST:
        return []
    tree = _Tree(read, shape, group, count)
    found: list[Run] = []
    end = 0
    leaf = tree.first_leaf(root, levels)
    while leaf != _NONE:
        rows, leaf = tree.leaf(leaf)
        for start, length in rows:
            if start < end or length == 0:
                return []
            found.append((start, length))
            end = start + length
    if end > count or sum(length for _, length in found) != stated:
        return []
    return found


class _Tree:
    """One group's tree. A block that is none of it ends the walk: the sum is wrong then."""

    def __init__(self, read: Read, shape: _Super, group: int, count: int) -> None:
        self._read, self._shape, self._count = read, shape, count
        self._begin = group * shape.per_group * shape.block
        self._mark, self._head = _BTREE[shape.version]
        self._seen = 0

    def _block(self, number: int, level: int) -> bytes:
        self._seen += 1
        if not number < self._count or self._seen > self._count:  # it leads round in a ring
            return b""
        raw = self._read(self._begin + number * self._shape.block, self._shape.block)
        sound = len(raw) == self._shape.block and raw[:4] == self._mark
        return raw if sound and struct.unpack_from(">H", raw, 4)[0] == level else b""

    def first_leaf(self, number: int, levels: int) -> int:
        most = (self._shape.block - self._head) // 12  # a key of 8 bytes, and a place of 4
        for level in range(levels - 1, 0, -1):
            raw = self._block(number, level)
            if not raw:
                return _NONE
            (number,) = struct.unpack_from(">I", raw, self._head + most * 8)
        return number

    def leaf(self, number: int) -> tuple[list[Run], int]:
        """Its records, and the leaf to the right."""
        raw = self._block(number, 0)
        if not raw:
            return [], _NONE
        count, _, right = struct.unpack_from(">HII", raw, 6)
        if self._head + count * 8 > len(raw):
            return [], _NONE
        rows = struct.iter_unpack(">II", raw[self._head : self._head + count * 8])
        return [(start, length) for start, length in rows], right


def _closed(read: Read, shape: _Super) -> bool:
    """Whether the last record of the log says that the file system was unmounted."""
    log = _Log(read, shape)
    head = log.head()
    if head is None:
        return False
    for back in range(1, min(_LONGEST_RECORD, shape.log_length)):
        raw = log.block((head - back) % shape.log_length)
        if raw[:4] == _RECORD.to_bytes(4, "big"):
            return log.is_unmount(raw, head, back)
    return False


class _Log:
    """A ring of basic blocks; each begins with the number of the round in which it was written."""

    def __init__(self, read: Read, shape: _Super) -> None:
        self._read, self._start, self._length = read, shape.log, shape.log_length

    def block(self, number: int) -> bytes:
        return self._read(self._start + number % self._length * _SECTOR, _SECTOR)

    def _round(self, number: int) -> int:
        raw = self.block(number)
        first, second = int.from_bytes(raw[:4], "big"), int.from_bytes(raw[4:8], "big")
        return second if first == _RECORD else first

    def head(self) -> int | None:
        """The block after the newest; as xlog_find_head finds it, but for what a log that was
        closed has not: pieces of writes that were under way."""
        if self._length < 2:
            return None
        first, last = self._round(0), self._round(self._length - 1)
        if not first or last not in (first, first - 1):
            return None
        low, high = 0, self._length  # all below `low` are of this round, none from `high` on
        while low < high:
            middle = (low + high) // 2
            if self._round(middle) == first:
                low = middle + 1
            else:
                high = middle
        return low % self._length if last != first else 0

    def is_unmount(self, header: bytes, head: int, back: int) -> bool:
        """Whether the record whose header stands `back` blocks before the head is one, and ends
        there."""
        version, length = struct.unpack_from(">II", header, 8)
        (operations,) = struct.unpack_from(">I", header, 40)
        (size,) = struct.unpack_from(">I", header, 320)
        heads = max(1, -(-size // _RECORD_HEAD)) if version & 2 else 1
        if operations != 1 or heads + -(-length // _SECTOR) != back:
            return False
        raw = self.block(head - back + heads)
        return len(raw) > 9 and bool(raw[9] & _UNMOUNT)
