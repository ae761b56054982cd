"""The blocks of a pack, fetched: what is handed on is decompressed, and what the index says."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ironwake.pack import BLOCK, CHUNK, LARGEST_FRAME, Block, Index, PackError, Piece
from ironwake.sizes import MIB
from ironwake_agent.complaints import Complaints
from ironwake_agent.image import crew
from ironwake_agent.image.device import room
from ironwake_agent.image.source import Place, Source
from ironwake_agent.image.zstd import Decompressor, FrameError
from ironwake_agent.patience import Patience
from ironwake_agent.unpack import DamagedError

_STRETCH = 4 * MIB  # of the pack, that one request asks for
_STEP = "check the appliance's disk, and whatever stands between; then deploy again"


@dataclass(frozen=True)
class Ways:
    """What a write works with.

    :ivar progress: called with 0.0 to 1.0; may raise to stop
    :ivar complain: what all connections tell their trouble to
    """

    patience: Patience
    say: Callable[[str], None]
    progress: Callable[[float], None]
    complain: Complaints = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "complain", Complaints(self.say, self.patience.clock))


Stretch = tuple[Piece, ...]  # pieces that one request asks for


def index(place: Place, sha256: str, ways: Ways) -> Index:
    """The index; DamagedError where it is not the one that is meant."""
    raw = bytearray(place.size)
    with Source(place, ways.patience, ways.complain) as source:
        source.read(0, memoryview(raw))
    found = hashlib.sha256(raw).hexdigest()
    if found != sha256:
        raise DamagedError(
            f"the index of the image is damaged: it has SHA-256 {found}, the order says {sha256}",
            _STEP,
        )
    try:
        return Index.decode(bytes(raw))
    except PackError as error:
        raise DamagedError(str(error), "import the image again") from None


class Fetch:
    """One pack, for several threads.

    :param unit: a sector of the disk that it is for, in bytes
    :ivar fetched: bytes of the pack, until now
    """

    def __init__(self, index: Index, pack: Place, ways: Ways, unit: int) -> None:
        self._index = index
        self._pack = pack
        self._ways = ways
        self._unit = unit
        self._lock = threading.Lock()
        self.fetched = 0

    @contextmanager
    def worker(
        self, put: Callable[[int, memoryview], None], check: crew.Check
    ) -> Iterator[Callable[[Stretch], int]]:
        """Gives what fetches a stretch, checks it, and puts it where it belongs.

        :param put: gets a place on the disk, and whole sectors for it
        """
        packed = memoryview(bytearray(_STRETCH + CHUNK * LARGEST_FRAME))
        plain = room(CHUNK * BLOCK)
        ways = self._ways
        with (
            Source(self._pack, ways.patience, ways.complain, check) as source,
            Decompressor() as decompressor,
        ):

            def do(stretch: Stretch) -> int:
                length = sum(piece.length for piece in stretch)
                source.read(stretch[0].offset, packed[:length])
                with self._lock:
                    self.fetched += length
                begin = count = 0
                for piece in stretch:
                    frames = packed[begin : begin + piece.length]
                    begin += piece.length
                    count += self._unpack(piece, frames, plain, decompressor, put)
                return count

            yield do

    def _unpack(
        self,
        piece: Piece,
        frames: memoryview,
        plain: memoryview,
        decompressor: Decompressor,
        put: Callable[[int, memoryview], None],
    ) -> int:
        start, _ = self._index.extent(piece.blocks[0].number)
        last, length = self._index.extent(piece.blocks[-1].number)
        size = last + length - start
        try:
            decompressor.frames(frames, plain[:size])
        except FrameError as error:
            raise _damaged(piece.blocks[0], str(error)) from None
        for number, block in enumerate(piece.blocks):
            content = plain[number * BLOCK : min((number + 1) * BLOCK, size)]
            if not is_block(block, content):
                raise _damaged(block, "it has another SHA-256")
        whole = -(-size // self._unit) * self._unit
        plain[size:whole] = bytes(whole - size)
        put(start, plain[:whole])
        return size


def stretches_of(pieces: Iterable[Piece]) -> Iterator[Stretch]:
    """Pieces that follow each other in the pack, as many as one request shall ask for."""
    group: list[Piece] = []
    size = 0
    for piece in pieces:
        follows = group and piece.offset == group[-1].offset + group[-1].length
        if group and (not follows or size + piece.length > _STRETCH):
            yield tuple(group)
            group, size = [], 0
        group.append(piece)
        size += piece.length
    if group:
        yield tuple(group)


def is_block(block: Block, content: memoryview) -> bool:
    """Whether these are the bytes of that block."""
    return hashlib.sha256(content).digest() == block.sha256


def _damaged(block: Block, why: str) -> DamagedError:
    place = block.number * BLOCK
    return DamagedError(f"the image is damaged at byte {place} of its disk: {why}", _STEP)
