"""Disks into packs and back, by as many threads as there are processors.

hashlib and zstd leave the interpreter alone while they work, so threads are enough. The order on
the disk is kept by taking results in the order in which the work was given out; a bounded number of
them is under way, so memory stays small however large the disk is.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TypeVar

import zstandard

from ironwake.errors import BrokenError, RefusedError
from ironwake.pack import BLOCK, CHUNK, Block, Index, PackError, Piece

_STRETCH: Final = BLOCK * CHUNK  # what one thread works on: 1 MiB
_ZEROES: Final = bytes(_STRETCH)
_AHEAD: Final = 4  # stretches for each thread: enough that nobody waits
# Level 10 takes three times the processor's time, for packs that are 7 % smaller.
_LEVEL: Final = 3

_Work = TypeVar("_Work")
_Result = TypeVar("_Result")


class Told(Protocol):
    """Told how far the work is."""

    def __call__(self, done: int, whole: int) -> None:
        """Both in bytes of the disk."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A disk that was packed. `sha256` is of its whole plain content."""

    index: Index
    sha256: str


def pack(source: Path, target: BinaryIO, told: Told) -> Packed:
    """Write the frames of a raw disk to `target`; holes of the file are not read.

    :raises RefusedError: the file changed meanwhile
    """
    with source.open("rb") as stream:
        before = os.fstat(stream.fileno())
        packed = _pack(stream.fileno(), before.st_size, target, told)
        after = os.fstat(stream.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise RefusedError(
            f"{source} changed while it was read", "import it again when nobody writes to it"
        )
    return packed


def _pack(disk: int, size: int, target: BinaryIO, told: Told) -> Packed:
    digest = hashlib.sha256()
    blocks: list[Block] = []
    tools = _Tools()

    def press(place: int) -> tuple[bytes, list[tuple[int, bytes, bytes]]]:
        plain = _read(disk, place, min(_STRETCH, size - place))
        return plain, list(_frames(plain, place // BLOCK, tools))

    done = 0
    for place, (plain, frames) in _in_order(press, _stretches(disk, size)):
        zeroes(digest.update, place - done)
        digest.update(plain)
        for number, sha256, frame in frames:
            blocks.append(Block(number, sha256, len(frame)))
            target.write(frame)
        done = place + len(plain)
        told(done, size)
    zeroes(digest.update, size - done)
    told(size, size)
    return Packed(Index(size, blocks), digest.hexdigest())


def unpack(
    pack: Path, index: Index, numbers: Iterable[int] | None = None
) -> Iterator[tuple[int, bytes]]:
    """(where on the disk, plain bytes) of all blocks, or of those with these numbers, in order.

    :raises PackError: a block is not what the index says
    """
    tools = _Tools()
    with pack.open("rb") as stream:
        file = stream.fileno()

        def open_up(piece: Piece) -> bytes:
            raw = _read(file, piece.offset, piece.length)
            return b"".join(_plain(raw, piece, index, tools))

        for piece, plain in _in_order(open_up, index.pieces(numbers)):
            yield piece.blocks[0].number * BLOCK, plain


def content_sha256(pack: Path, index: Index, told: Told) -> str:
    """The hash of the whole plain content; PackError where a block is not what the index says."""
    digest = hashlib.sha256()
    done = 0
    for place, plain in unpack(pack, index):
        zeroes(digest.update, place - done)
        digest.update(plain)
        done = place + len(plain)
        told(done, index.size)
    zeroes(digest.update, index.size - done)
    return digest.hexdigest()


class _Tools(threading.local):
    """Each thread's own: neither of them may be used by two at once."""

    def __init__(self) -> None:
        self.press = zstandard.ZstdCompressor(level=_LEVEL)
        self.open = zstandard.ZstdDecompressor()


def _frames(plain: bytes, first: int, tools: _Tools) -> Iterator[tuple[int, bytes, bytes]]:
    if plain == _ZEROES[: len(plain)]:
        return
    for place in range(0, len(plain), BLOCK):
        block = plain[place : place + BLOCK]
        if block != _ZEROES[: len(block)]:
            sha256 = hashlib.sha256(block).digest()
            yield first + place // BLOCK, sha256, tools.press.compress(block)


def _plain(raw: bytes, piece: Piece, index: Index, tools: _Tools) -> Iterator[bytes]:
    place = 0
    for block in piece.blocks:
        frame = raw[place : place + block.length]
        place += block.length
        length = index.extent(block.number)[1]
        try:
            plain = tools.open.decompress(frame, max_output_size=length)
        except zstandard.ZstdError as error:
            raise PackError(f"block {block.number} of the pack is damaged: {error}") from None
        if len(plain) != length or hashlib.sha256(plain).digest() != block.sha256:
            raise PackError(f"block {block.number} of the pack is not what its index says")
        yield plain


def _in_order(
    work: Callable[[_Work], _Result], items: Iterable[_Work]
) -> Iterator[tuple[_Work, _Result]]:
    """Each item and what `work` makes of it, in order, by all processors."""
    threads = len(os.sched_getaffinity(0))
    under_way: deque[tuple[_Work, Future[_Result]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                under_way.append((item, pool.submit(work, item)))
                if len(under_way) > threads * _AHEAD:
                    first, future = under_way.popleft()
                    yield first, future.result()
            while under_way:
                first, future = under_way.popleft()
                yield first, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _stretches(disk: int, size: int) -> Iterator[int]:
    """Where each stretch begins in which the file has data."""
    place = 0
    while place < size:
        start, end = _data(disk, place, size)
        for begin in range(max(place, start // _STRETCH * _STRETCH), end, _STRETCH):
            yield begin
            place = begin + _STRETCH
        place = max(place, end)


def _data(disk: int, place: int, size: int) -> tuple[int, int]:
    """The next data at or after `place`; (size, size) where only a hole is left."""
    try:
        start = os.lseek(disk, place, os.SEEK_DATA)
        return start, os.lseek(disk, start, os.SEEK_HOLE)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size, size
        if error.errno == errno.EINVAL:  # a file system that does not know of holes
            return place, size
        raise


def _read(file: int, place: int, length: int) -> bytes:
    parts = []
    while length:
        part = os.pread(file, length, place)
        if not part:
            raise BrokenError(f"the file ends at byte {place}, {length} bytes too early")
        parts.append(part)
        place += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def zeroes(take: Callable[[bytes], object], count: int) -> None:
    """Give it so many."""
    while count > 0:
        take(_ZEROES[: min(count, _STRETCH)])
        count -= _STRETCH
