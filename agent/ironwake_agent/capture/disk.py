"""A disk into a pack, by several threads: hashes, zstd and reading need no Python.

What a closed file system says is free (`ironwake.freespace`) is not read, and so not in the image
either: what was deleted there stays there. Everything else counts by its content.
"""

from __future__ import annotations

import hashlib
import os
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from ironwake import freespace
from ironwake.disk import Disk
from ironwake.errors import BrokenError
from ironwake.pack import BLOCK, CHUNK, Block, Index
from ironwake_agent.image.zstd import Compressor

_STRETCH = BLOCK * CHUNK
_ZEROES = bytes(_STRETCH)
_AHEAD = 4  # stretches for each thread


class Sink(Protocol):
    """Takes the pack, in order."""

    def write(self, data: bytes) -> None: ...


@dataclass(frozen=True)
class Packed:
    """`sha256` is of the disk's whole plain content, what is free as zeroes."""

    index: Index
    sha256: str


Free = Sequence[tuple[int, int]]  # (where, how long) on the disk, in bytes; ascending


@contextmanager
def opened(path: str) -> Iterator[int]:
    """The disk, for reading alone."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


def unused(file: int, disk: Disk) -> Free:
    """What its file systems say is free."""
    found: list[tuple[int, int]] = []
    last = 0
    for part in sorted(disk.parts, key=lambda one: one.start):
        if part.start < last or part.start + part.size > disk.size:
            continue  # an extended partition has others in it
        for start, length in freespace.free(_within(file, part.start, part.size)):
            last = part.start + part.size
            if start + length <= part.size:
                found.append((part.start + start, length))
    return found


def pack(
    file: int, size: int, free: Free, sink: Sink, told: Callable[[int], None], threads: int = 0
) -> Packed:
    """Read all of it.

    :param told: called with the bytes of the disk that are done; may raise to stop
    :raises BrokenError: the disk cannot be read
    """
    digest = hashlib.sha256()
    blocks: list[Block] = []
    reader = _Reader(file, size, free)
    for place, plain, frames in _in_order(reader, threads or len(os.sched_getaffinity(0))):
        digest.update(plain)
        for number, sha256, frame in frames:
            blocks.append(Block(number, sha256, len(frame)))
            sink.write(frame)
        told(place + len(plain))
    return Packed(Index(size, blocks), digest.hexdigest())


Stretch = tuple[int, bytes | bytearray, list[tuple[int, bytes, bytes]]]


class _Reader:
    def __init__(self, file: int, size: int, free: Free) -> None:
        self._file, self.size, self._free = file, size, free
        self._ends = [start + length for start, length in free]
        self._tools = threading.local()

    def stretch(self, place: int) -> Stretch:
        length = min(_STRETCH, self.size - place)
        holes = self._holes(place, length)
        if holes == [(0, length)]:
            return place, _ZEROES[:length], []
        plain = bytearray(length)
        self._fill(place, memoryview(plain))
        for start, end in holes:
            plain[start:end] = bytes(end - start)
        return place, plain, list(self._frames(plain, place // BLOCK))

    def _holes(self, place: int, length: int) -> list[tuple[int, int]]:
        """(start, end) of what is free, in bytes of this stretch; neighbours are one."""
        found: list[tuple[int, int]] = []
        for start, count in self._free[bisect_right(self._ends, place) :]:
            if start >= place + length:
                break
            begin, end = max(start - place, 0), min(start + count - place, length)
            if found and found[-1][1] == begin:
                begin = found.pop()[0]
            found.append((begin, end))
        return found

    def _fill(self, place: int, room: memoryview) -> None:
        done = 0
        while done < len(room):
            try:
                count = os.preadv(self._file, [room[done:]], place + done)
            except OSError as error:
                raise BrokenError(
                    f"the disk cannot be read at byte {place + done}: {error.strerror}",
                    "replace it, or capture a root that is not on it",
                ) from None
            if not count:
                raise BrokenError(f"the disk ends at byte {place + done}, not at {self.size}")
            done += count

    def _frames(self, plain: bytearray, first: int) -> Iterator[tuple[int, bytes, bytes]]:
        if not hasattr(self._tools, "press"):
            self._tools.press = Compressor()
        view = memoryview(plain)
        for start in range(0, len(plain), BLOCK):
            block = view[start : start + BLOCK]
            if block != _ZEROES[: len(block)]:
                sha256 = hashlib.sha256(block).digest()
                yield first + start // BLOCK, sha256, self._tools.press.frame(block)


def _in_order(reader: _Reader, threads: int) -> Iterator[Stretch]:
    under_way: deque[Future[Stretch]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for place in range(0, reader.size, _STRETCH):
                under_way.append(pool.submit(reader.stretch, place))
                if len(under_way) > threads * _AHEAD:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _within(file: int, begin: int, size: int) -> freespace.Read:
    def read(place: int, count: int) -> bytes:
        if not 0 <= place <= size:
            return b""
        parts, left, at = [], min(count, size - place), begin + place
        try:
            while left and (piece := os.pread(file, left, at)):
                parts.append(piece)
                left, at = left - len(piece), at + len(piece)
        except OSError:
            return b""  # it will be said when it is read for itself
        return b"".join(parts)

    return read
