"""A pack: the blocks of a disk, each compressed by itself, and the index that says where they are.

A disk is read as blocks of 64 KiB, the last one may be shorter. Blocks of zeroes stand nowhere. All
others stand in the pack, one zstd frame (RFC 8878) each, in the disk's order and without gaps, so
that any run of blocks is one HTTP Range, and a disk that has most of them already needs only the
rest. The index is an artifact of its own:

    "IWPACK1\\n"                                                 8 octets
    size of the disk in bytes                                   u64
    runs:  first block u64, count u32, then for each block
           the SHA-256 of its plain bytes, 32 octets            repeated to the end
           the length of its frame in the pack, u32

Integers are little-endian. Runs ascend, neither touch nor overlap, and are as long as can be.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from ironwake.errors import BrokenError

BLOCK: Final = 64 << 10
CHUNK: Final = 16  # blocks that are fetched and written together: 1 MiB of the disk
LARGEST_FRAME: Final = BLOCK + 1024  # what zstd makes of noise is hardly longer than the noise
LARGEST_DISK: Final = 1 << 50

_MAGIC = b"IWPACK1\n"
_HEAD = struct.Struct("<8sQ")
_RUN = struct.Struct("<QI")
_BLOCK = struct.Struct("<32sI")


class PackError(BrokenError):
    """An index that cannot be one, or blocks that are not what it says."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block that holds something.

    :ivar number: its place on the disk, in blocks
    :ivar sha256: of its plain bytes, 32 octets
    :ivar length: of its frame, in bytes
    """

    number: int
    sha256: bytes
    length: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Blocks that follow each other on the disk and in the pack.

    :ivar offset: of the first one's frame in the pack, in bytes
    """

    offset: int
    blocks: tuple[Block, ...]

    @property
    def length(self) -> int:
        """Of all frames, in bytes."""
        return sum(block.length for block in self.blocks)


class Index:
    """What a pack holds.

    :param size: of the disk, in bytes
    :param blocks: ascending
    :raises PackError: blocks that are not in order, or not on the disk
    """

    def __init__(self, size: int, blocks: Iterable[Block]) -> None:
        self.size = size
        self.blocks = tuple(blocks)
        _check(self)
        self._numbers = [block.number for block in self.blocks]
        self._offsets = [0, *accumulate(block.length for block in self.blocks)]

    @property
    def packed(self) -> int:
        """The size of the pack, in bytes."""
        return self._offsets[-1]

    @property
    def held(self) -> int:
        """How many bytes of the disk are not zeroes by name."""
        return sum(self.extent(block.number)[1] for block in self.blocks)

    def extent(self, number: int) -> tuple[int, int]:
        """(where on the disk, how long) in bytes, of a block."""
        start = number * BLOCK
        return start, min(BLOCK, self.size - start)

    def pieces(self, numbers: Iterable[int] | None = None) -> Iterator[Piece]:
        """The blocks, or those of these numbers, in pieces of a CHUNK at most, in disk order.

        No piece goes over a boundary of 1 MiB of the disk.
        """
        wanted = None if numbers is None else frozenset(numbers)
        group: list[Block] = []
        begin = 0
        for place, block in enumerate(self.blocks):
            if wanted is not None and block.number not in wanted:
                continue
            if group and not _together(group[-1], block):
                yield Piece(self._offsets[begin], tuple(group))
                group = []
            if not group:
                begin = place
            group.append(block)
        if group:
            yield Piece(self._offsets[begin], tuple(group))

    def gaps(self) -> Iterator[tuple[int, int]]:
        """(where, how long) in bytes, of all that is zeroes by name."""
        end = 0
        for block in self.blocks:
            start, length = self.extent(block.number)
            if start > end:
                yield end, start - end
            end = start + length
        if self.size > end:
            yield end, self.size - end

    def find(self, number: int) -> Block | None:
        """The block of this number; None for zeroes."""
        place = bisect_right(self._numbers, number) - 1
        there = place >= 0 and self._numbers[place] == number
        return self.blocks[place] if there else None

    def encode(self) -> bytes:
        """The index's own bytes."""
        parts = [_HEAD.pack(_MAGIC, self.size)]
        for run in _runs(self.blocks):
            parts.append(_RUN.pack(run[0].number, len(run)))
            parts.extend(_BLOCK.pack(block.sha256, block.length) for block in run)
        return b"".join(parts)

    @classmethod
    def decode(cls, raw: bytes) -> Index:
        """Read an index; PackError says what is wrong with it."""
        try:
            magic, size = _HEAD.unpack_from(raw)
            if magic != _MAGIC:
                raise PackError("this is no index of a pack")
            return cls(size, _blocks(raw))
        except struct.error as error:
            raise PackError(f"the index of a pack ends early: {error}") from None


def _blocks(raw: bytes) -> Iterator[Block]:
    place = _HEAD.size
    while place < len(raw):
        first, count = _RUN.unpack_from(raw, place)
        place += _RUN.size
        if not count:
            raise PackError("a run of an index has no blocks")
        for number in range(first, first + count):
            sha256, length = _BLOCK.unpack_from(raw, place)
            place += _BLOCK.size
            yield Block(number, sha256, length)


def _runs(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    run: list[Block] = []
    for block in blocks:
        if run and block.number != run[-1].number + 1:
            yield run
            run = []
        run.append(block)
    if run:
        yield run


def _together(last: Block, block: Block) -> bool:
    return block.number == last.number + 1 and block.number % CHUNK != 0


def _check(index: Index) -> None:
    if not 0 < index.size <= LARGEST_DISK:
        raise PackError(f"{index.size} bytes are no size of a disk")
    last = -1
    for block in index.blocks:
        if block.number <= last or block.number * BLOCK >= index.size:
            raise PackError(f"block {block.number} of an index is not in its place")
        if not 0 < block.length <= LARGEST_FRAME:
            raise PackError(f"block {block.number} of an index has a frame of {block.length} bytes")
        last = block.number
