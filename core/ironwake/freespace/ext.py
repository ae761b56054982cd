"""ext2, ext3 and ext4: a bitmap for each group of blocks.

Layout: Documentation/filesystems/ext4 of the kernel.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ironwake.freespace.reading import Read, Run, zero_runs

_SUPERBLOCK: Final = 1024
MARK_AT, MARK = _SUPERBLOCK + 0x38, b"\x53\xef"
_CLEAN, _ERRORS = 1, 2  # s_state
_RECOVER, _META_BG, _64BIT = 0x4, 0x10, 0x80  # s_feature_incompat
_BIGALLOC: Final = 0x200  # s_feature_ro_compat: bits are for clusters
_CHECKED: Final = 0x10 | 0x400  # the same: GDT_CSUM, METADATA_CSUM
_MAP_UNUSED: Final = 0x2  # bg_flags, BLOCK_UNINIT: there is no map yet
_MOST_GROUPS: Final = 1 << 24


@dataclass(frozen=True)
class _Super:
    first: int
    blocks: int
    block: int  # bytes
    per_group: int
    descriptor: int  # bytes
    lazy: bool  # whether maps may be left out
    spare: int  # blocks behind each copy of the descriptors

    @property
    def copy(self) -> int:
        """Blocks of the superblock, the descriptors and what they may grow into."""
        return 1 + -(-self.groups * self.descriptor // self.block) + self.spare

    @property
    def groups(self) -> int:
        return -(-(self.blocks - self.first) // self.per_group)


def free(read: Read) -> Iterator[Run]:
    """As of `freespace.free`; runs of less than eight blocks are left out."""
    shape = _shape(read(_SUPERBLOCK, 1024))
    if shape is None:
        return
    table = read((shape.first + 1) * shape.block, shape.groups * shape.descriptor)
    if len(table) != shape.groups * shape.descriptor:
        return
    for number in range(shape.groups):
        row = table[number * shape.descriptor : (number + 1) * shape.descriptor]
        begin = shape.first + number * shape.per_group
        count = min(shape.per_group, shape.blocks - begin)
        for start, length in _of_group(read, shape, row, count):
            yield (begin + start) * shape.block, length * shape.block


def _of_group(read: Read, shape: _Super, row: bytes, count: int) -> Iterator[Run]:
    """(first, how many), in blocks of the group."""
    place, stated, flags = _descriptor(row)
    if shape.lazy and flags & _MAP_UNUSED:
        # Nothing was ever put there. A copy of the superblock and what follows it stand first;
        # where more is used, nobody says what.
        used = count - stated
        if used in (0, shape.copy):
            yield used, stated
        return
    if not shape.first < place < shape.blocks:
        return
    bitmap = read(place * shape.block, -(-count // 8))
    if len(bitmap) * 8 < count:
        return
    # The padding behind the last block says nothing.
    used = int.from_bytes(bitmap, "little") & ((1 << count) - 1)
    if count - used.bit_count() != stated:
        return  # a map that its own file system would not believe
    yield from zero_runs(bitmap, count)


def _descriptor(row: bytes) -> tuple[int, int, int]:
    """(block of the map, free blocks, flags)."""
    place, stated, flags = (
        int.from_bytes(row[0:4], "little"),
        int.from_bytes(row[0x0C:0x0E], "little"),
        int.from_bytes(row[0x12:0x14], "little"),
    )
    if len(row) >= 64:
        place |= int.from_bytes(row[0x20:0x24], "little") << 32
        stated |= int.from_bytes(row[0x2C:0x2E], "little") << 16
    return place, stated, flags


def _shape(raw: bytes) -> _Super | None:
    if len(raw) < 1024:
        return None
    (state,) = struct.unpack_from("<H", raw, 0x3A)
    _, incompatible, read_only = struct.unpack_from("<III", raw, 0x5C)
    if state & (_CLEAN | _ERRORS) != _CLEAN or incompatible & (_RECOVER | _META_BG):
        return None
    if read_only & _BIGALLOC:
        return None
    wide = bool(incompatible & _64BIT)
    blocks = struct.unpack_from("<I", raw, 4)[0]
    if wide:
        blocks |= struct.unpack_from("<I", raw, 0x150)[0] << 32
    first, scale = struct.unpack_from("<II", raw, 0x14)
    (per_group,) = struct.unpack_from("<I", raw, 0x20)
    size = struct.unpack_from("<H", raw, 0xFE)[0] if wide else 32
    if scale > 6 or size not in (32, 64) or first > 1 or not first < blocks:
        return None
    block = 1024 << scale
    if not 0 < per_group <= 8 * block or per_group % 8:
        return None
    spare = struct.unpack_from("<H", raw, 0xCE)[0]
    shape = _Super(first, blocks, block, per_group, size, bool(read_only & _CHECKED), spare)
    return shape if shape.groups <= _MOST_GROUPS else None
