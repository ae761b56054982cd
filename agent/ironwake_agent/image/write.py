"""A pack becomes a disk, in an order that is safe at every point.

1. The index and the edges (the disk's first MiB and the image's last one) come into memory. Every
   refusal is before the first write.
2. What makes the disk bootable now, the old table and its copy at the end, is made zeroes.
3. Blocks: fetched, decompressed, checked against their SHA-256, and only then written. What has no
   block becomes zeroes: an old disk has other things there. Where the disk holds most of the
   image already, what is right is neither fetched nor written.
4. What was written is read again, from the disk itself.

The edges stay in memory: whoever calls writes them, when all else is done. Wherever this is
interrupted, nothing on the disk boots.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ironwake.errors import BrokenError, RefusedError
from ironwake.pack import BLOCK, CHUNK, Block, Index
from ironwake.sizes import MIB, size_text
from ironwake_agent.image import crew
from ironwake_agent.image.device import Device, room
from ironwake_agent.image.fetch import Fetch, Stretch, Ways, is_block, stretches_of
from ironwake_agent.image.source import Place
from ironwake_agent.unpack import DamagedError

EDGE = MIB  # the part of the disk that makes it bootable
_END = 4 * MIB  # at a disk's end: copies of tables, and what RAID and ZFS leave there
_GAP = 64 * MIB  # that is made zeroes at once
_BEYOND = 16 << 30  # that is discarded at once
_SAMPLES = 24  # blocks that are looked at to find out whether it is worth to look at all


@dataclass(frozen=True)
class Gap:
    """What shall read as zeroes: where, how many bytes."""

    start: int
    length: int


@dataclass(frozen=True)
class Edges:
    """What is written last. `head` is the image's first MiB, `tail` what begins at `tail_at`."""

    head: bytearray
    tail: bytearray
    tail_at: int

    def parts(self) -> Iterator[tuple[int, bytearray]]:
        yield 0, self.head
        yield self.tail_at, self.tail


@dataclass(frozen=True)
class Outcome:
    """What a write came to, in bytes: of the pack fetched, of the disk written."""

    edges: Edges
    fetched: int
    written: int


def write(device: Device, index: Index, pack: Place, ways: Ways, *, verify: bool) -> Outcome:
    """Write all but the edges; they are in the outcome.

    :param verify: read the disk again
    :raises RefusedError: the disk is too small, or has sectors of another size: before any write
    :raises DamagedError: what came is not the image
    """
    one = Write(device, index, pack, ways)
    return one.run(one.edges(), verify=verify)


def _check(device: Device, index: Index, pack: Place) -> None:
    if device.size < index.size:
        raise RefusedError(
            f"disk {device.path} is too small: the image needs {size_text(index.size)},"
            f" it has {size_text(device.size)}",
            "name a larger one in disk.match of the profile",
        )
    if index.packed != pack.size:
        raise DamagedError(
            f"the index is of a pack of {index.packed} bytes, and the order's has {pack.size}",
            "import the image again",
        )


class Write:
    """One write: first `edges`, then `run`."""

    def __init__(self, device: Device, index: Index, pack: Place, ways: Ways) -> None:
        _check(device, index, pack)
        self._device = device
        self._index = index
        self._ways = ways
        self._tail_at = max(index.size - EDGE, min(EDGE, index.size)) // BLOCK * BLOCK
        self._done, self._all = 0, 1
        self._written = 0
        self._fetch = Fetch(index, pack, ways, device.sector)
        self._lock = threading.Lock()

    def run(self, edges: Edges, *, verify: bool) -> Outcome:
        """Everything but the edges; from here on, what was on the disk does not boot."""
        body = {block.number for block in self._index.blocks if not self._is_edge(block.number)}
        there = self._there(body)
        wanted = body - there
        self._disarm()
        stretches = list(stretches_of(self._index.pieces(wanted)))
        gaps = list(self._gaps())
        self._plan(wanted, gaps, body if verify else ())
        jobs: list[Gap | Stretch] = [*gaps, *stretches]
        crew.work(jobs, self._writer, self._told)
        self._device.sync()
        if verify:
            crew.work(self._runs(body), self._reader(self._refuse), self._told)
        return Outcome(edges, self._fetch.fetched, self._written)

    def _is_edge(self, number: int) -> bool:
        start = number * BLOCK
        return start < EDGE or start >= self._tail_at

    def edges(self) -> Edges:
        """From the disk where it has them, else fetched: nothing is written yet."""
        index = self._index
        edges = Edges(
            bytearray(min(EDGE, index.size)), bytearray(index.size - self._tail_at), self._tail_at
        )
        blocks = [block for block in index.blocks if self._is_edge(block.number)]
        missing = {block.number for block in blocks}
        space = room(BLOCK)
        for block in blocks:
            start, length = index.extent(block.number)
            whole = self._whole(length)
            self._device.read(start, space[:whole])
            if is_block(block, space[:length]):
                _keep(edges, start, space[:length])
                missing.discard(block.number)

        def keep(start: int, content: memoryview) -> None:
            _keep(edges, start, content)

        with self._fetch.worker(keep, lambda: None) as do:
            for stretch in stretches_of(index.pieces(missing)):
                do(stretch)
        self._check_sectors(edges)
        return edges

    def _check_sectors(self, edges: Edges) -> None:
        other = {512: 4096, 4096: 512}.get(self._device.sector, 0)
        if other and edges.head[other : other + 8] == b"EFI PART":
            raise RefusedError(
                f"the image is of a disk with sectors of {other} bytes, and {self._device.path}"
                f" has {self._device.sector}",
                "name another disk in disk.match of the profile, or deploy by an archive",
            )

    def _there(self, body: Collection[int]) -> set[int]:
        """The numbers of the blocks that the disk has already; none where it seems to have few."""
        ordered = sorted(body)
        sample = ordered[:: max(len(ordered) // _SAMPLES, 1)]
        right: set[int] = set()
        crew.work(self._runs(sample), self._reader(right.add, wrong=False), self._beat, 1)
        if 2 * len(right) < len(sample) or not sample:
            return set()
        self._ways.say("the disk holds much of the image already: what is right stays")
        right.clear()
        crew.work(self._runs(body), self._reader(right.add, wrong=False), self._beat)
        return right

    def _disarm(self) -> None:
        """From here on, nothing that is on the disk boots."""
        device = self._device
        head = min(EDGE, device.size)
        device.zero(0, head)
        beyond = max(self._index.size, device.size - _END)
        end = max(self._tail_at, min(beyond, device.size - EDGE), head)
        device.zero(end // BLOCK * BLOCK, device.size - end // BLOCK * BLOCK)
        device.sync()

    def _gaps(self) -> Iterator[Gap]:
        """What must read as zeroes, in handy lengths: of the image, and, cheaply, beyond it."""
        for start, length in self._index.gaps():
            end = min(start + length, self._tail_at)
            start = max(start, EDGE)
            while start < end:
                size = min(_GAP, end - start)
                yield Gap(start, size)
                start += size
        start = -(-self._index.size // BLOCK) * BLOCK
        while start < self._device.size:
            size = min(_BEYOND, self._device.size - start)
            if not self._device.discard(start, size):
                break  # the end itself is zeroes already
            start += size

    def _plan(self, wanted: Collection[int], gaps: Iterable[Gap], again: Collection[int]) -> None:
        """How much there is to do; a gap counts as far less than what has to be written."""
        self._all = max(len(wanted) * BLOCK + len(again) * BLOCK // 4, 1)
        self._all += sum(gap.length for gap in gaps) // 64

    def _told(self, count: int) -> None:
        self._done += count
        self._ways.progress(min(self._done / self._all, 1.0))

    def _beat(self, _: int) -> None:
        self._ways.progress(0.0)

    @contextmanager
    def _writer(self, check: crew.Check) -> Iterator[Callable[[Gap | Stretch], int]]:
        def put(start: int, content: memoryview) -> None:
            check()
            self._device.write(start, content)
            with self._lock:
                self._written += len(content)

        with self._fetch.worker(put, check) as fetch:

            def do(job: Gap | Stretch) -> int:
                if isinstance(job, Gap):
                    self._device.zero(job.start, job.length)
                    return job.length // 64
                return fetch(job)

            yield do

    def _runs(self, numbers: Collection[int]) -> Iterator[tuple[Block, ...]]:
        for piece in self._index.pieces(numbers):
            yield piece.blocks

    def _reader(
        self, found: Callable[[int], None], *, wrong: bool = True
    ) -> crew.Worker[tuple[Block, ...]]:
        """Reads blocks; `found` gets the numbers of the wrong ones, or of those that are right."""

        @contextmanager
        def reader(check: crew.Check) -> Iterator[Callable[[tuple[Block, ...]], int]]:
            space = room(CHUNK * BLOCK)

            def do(blocks: tuple[Block, ...]) -> int:
                check()
                start, _ = self._index.extent(blocks[0].number)
                last, length = self._index.extent(blocks[-1].number)
                size = last + length - start
                self._device.read(start, space[: self._whole(size)])
                for place, block in enumerate(blocks):
                    content = space[place * BLOCK : min((place + 1) * BLOCK, size)]
                    if is_block(block, content) is not wrong:
                        found(block.number)
                return size // 4

            yield do

        return reader

    def _refuse(self, number: int) -> None:
        raise BrokenError(
            f"disk {self._device.path} gives back other bytes than were written, at"
            f" {number * BLOCK}",
            "replace the disk",
        )

    def _whole(self, size: int) -> int:
        """In whole sectors."""
        return -(-size // self._device.sector) * self._device.sector


def _keep(edges: Edges, start: int, content: memoryview) -> None:
    for at, kept in edges.parts():
        low, high = max(start, at), min(start + len(content), at + len(kept))
        if low < high:
            kept[low - at : high - at] = content[low - start : high - start]
