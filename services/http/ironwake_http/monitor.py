"""FAI's monitor: a port that takes one line from each connection, and closes it at once.

FAI opens a connection for each message and waits for its end, 16 seconds where none comes. Who
speaks, the message says by its deployment's token; without one, the card that has the address does,
and then nothing but progress is believed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from ironwake.deployment import Deployment
from ironwake.families.fai import reports
from ironwake.report import Callback, Stage
from ironwake_http.hearsay import Hearsay
from ironwake_http.payload import TOKEN
from ironwake_runtime.outage import Later, by_the_loop

_LONGEST: Final = 512  # octets until the line's end


@dataclass(frozen=True)
class Bounds:
    """Connections at once, of all and of one address; `seconds` in which the line must be there.

    `grace`: seconds for which a failure is held back. FAI's hooks tell it better, with the end of
    its log, and begin after this; where FAI has none yet, it is all that is ever heard.
    """

    connections: int = 256
    per_address: int = 16
    seconds: float = 5.0
    grace: float = 60.0


class Monitor:
    """Makes protocols for connections, and knows how many there are."""

    def __init__(self, hearsay: Hearsay, bounds: Bounds, later: Later) -> None:
        self._hearsay = hearsay
        self.bounds = bounds
        self._open: Counter[str] = Counter()
        self._later = later
        self._failed: set[str] = set()

    def enter(self, client: str) -> bool:
        """Whether there is room for one more."""
        bounds = self.bounds
        full = self._open.total() >= bounds.connections
        if full or self._open[client] >= bounds.per_address:
            return False
        self._open[client] += 1
        return True

    def leave(self, client: str) -> None:
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]

    def take(self, client: str, line: bytes) -> None:
        """One line; whatever it is, nothing is raised."""
        said = reports.message(line)
        callback = reports.monitored(said) if said else None
        if said is None or callback is None:
            return
        known = self._hearsay.by_token(said.sender) if TOKEN.fullmatch(said.sender) else None
        speaker = known or self._hearsay.speaker(client)
        if not _is_fai(speaker) or speaker is None:
            return
        if known is None:
            if callback.stage is Stage.INSTALLING:
                self._hearsay.overhear(speaker, callback)
        elif callback.stage is Stage.INSTALLING:
            self._hearsay.say(known, callback)
        else:
            self._fail(known, callback)

    def _fail(self, deployment: Deployment, callback: Callback) -> None:
        def tell() -> None:
            self._failed.discard(deployment.id)
            if self._hearsay.by_token(deployment.token) is not None:
                self._hearsay.say(deployment, callback)

        if deployment.id not in self._failed:
            self._failed.add(deployment.id)
            self._later(self.bounds.grace, tell)


def _is_fai(deployment: Deployment | None) -> bool:
    release = deployment.release if deployment else None
    return release is not None and release.family == "fai"


class _Line(asyncio.Protocol):
    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._got = b""
        self._client: str | None = None
        self._transport: asyncio.Transport | None = None
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (a stream's)
        client = str((transport.get_extra_info("peername") or ("",))[0])
        self._transport = transport
        if not self._monitor.enter(client):
            transport.abort()
            return
        self._client = client
        loop = asyncio.get_running_loop()
        self._end = loop.call_later(self._monitor.bounds.seconds, transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._client is None or self._transport is None or self._transport.is_closing():
            return
        self._got += data
        line, end, _ = self._got.partition(b"\n")
        if end:
            self._done(line)
        elif len(self._got) > _LONGEST:
            self._transport.abort()

    def eof_received(self) -> None:
        if self._client is not None and self._got and not self._closing:
            self._done(self._got)

    @property
    def _closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def _done(self, line: bytes) -> None:
        if self._transport is not None:
            self._transport.close()
        if len(line) <= _LONGEST:
            self._monitor.take(self._client or "", line)

    def connection_lost(self, _: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
        if self._client is not None:
            self._monitor.leave(self._client)


@contextlib.asynccontextmanager
async def serving(
    hearsay: Hearsay,
    sock: socket.socket,
    bounds: Bounds | None = None,
    later: Later = by_the_loop,
) -> AsyncIterator[Monitor]:
    """Listen on this bound socket until the block ends; takes the socket over."""
    monitor = Monitor(hearsay, bounds or Bounds(), later)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Line(monitor), sock=sock)
    try:
        yield monitor
    finally:
        server.close()
