"""Packs for tests, and a server of ranges that misbehaves as it is told."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import zstandard

from ironwake.pack import BLOCK, Block, Index
from ironwake_agent.image.fetch import Ways
from ironwake_agent.image.source import Place
from tests.agent.rig import Clock, appliance

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Pack:
    """A disk's plain bytes, packed."""

    plain: bytes
    index: Index = field(init=False)
    packed: bytes = field(init=False)

    def __post_init__(self) -> None:
        compress = zstandard.ZstdCompressor(level=1).compress
        blocks, frames = [], []
        for number in range(-(-len(self.plain) // BLOCK)):
            content = self.plain[number * BLOCK : (number + 1) * BLOCK]
            if any(content):
                frames.append(compress(content))
                digest = hashlib.sha256(content).digest()
                blocks.append(Block(number, digest, len(frames[-1])))
        self.index = Index(len(self.plain), blocks)
        self.packed = b"".join(frames)

    @property
    def raw_index(self) -> bytes:
        return self.index.encode()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.raw_index).hexdigest()


class Server:
    """Serves ranges of what it is given by path; keeps connections.

    `breaks` cuts the n-th answer off after so many bytes; `change` may damage an answer's body;
    `closes` ends each connection after its answer, without a word.
    """

    def __init__(
        self,
        files: dict[str, bytes],
        breaks: tuple[int, ...] = (),
        change: Callable[[int, bytes], bytes] = lambda _, body: body,
        status: tuple[int, ...] = (),
        ranges: bool = True,
        closes: bool = False,
    ) -> None:
        self.files = files
        self.breaks = list(breaks)
        self.change = change
        self.status = list(status)
        self.ranges = ranges
        self.closes = closes
        self.sent = 0
        self.asked: list[tuple[str, int, int]] = []
        self._lock = threading.Lock()

    def __call__(self, request: BaseHTTPRequestHandler, _: bytes) -> None:
        data = self.files[request.path]
        first, last = request.headers["Range"].removeprefix("bytes=").split("-")
        start, end = (int(first), int(last) + 1) if self.ranges else (0, len(data))
        with self._lock:
            number = len(self.asked)
            self.asked.append((request.path, int(first), int(last) + 1))
            cut = self.breaks.pop(0) if self.breaks else None
            status = self.status.pop(0) if self.status else 0
        body = self.change(number, data[start:end])
        request.send_response(status or (206 if self.ranges else 200))
        if self.ranges:
            request.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.close_connection = self.closes
        if cut is not None:
            body = body[:cut]
            request.close_connection = True
        with suppress(OSError):
            request.wfile.write(body)
        with self._lock:
            self.sent += len(body)


@contextmanager
def served(pack: Pack, **how: object) -> Iterator[tuple[Server, Place, Place]]:
    """A server of one pack: (it, the pack's place, the index's)."""
    files = {"/pack": pack.packed, "/index": pack.raw_index}
    server = Server(files, **how)  # type: ignore[arg-type]
    with appliance(server) as url:
        yield (
            server,
            Place(f"{url}/pack", len(pack.packed)),
            Place(f"{url}/index", len(pack.raw_index)),
        )


def ways(
    clock: Clock | None = None,
    progress: Callable[[float], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Ways:
    return Ways((clock or Clock()).patience(60), say, progress)
