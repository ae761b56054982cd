"""Lines of installers' logs, by UDP: kept for a moment, then told in pieces, the newest of many.

Only machines with a live deployment are listened to, and each may send so many lines a second: a
log is for a person, who reads its end. What a line says of progress is told at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

from ironwake.deployment import Deployment
from ironwake.families.debian import log as debian_log
from ironwake.report import Callback, Stage
from ironwake_http import loglines
from ironwake_http.hearsay import Hearsay

_DEBUG: Final = 7
_MEMORY: Final = 1024  # addresses


@dataclass(frozen=True)
class Bounds:
    """`rate`: lines a second of one address, `burst` of them at once. `kept`: lines of a piece,
    every `seconds`. `known`: seconds for which it is remembered whose an address is.
    """

    rate: float = 200.0
    burst: float = 2000.0
    kept: int = 20
    seconds: float = 5.0
    known: float = 3.0


@dataclass
class _Client:
    """An address: whose it is, looked up at `looked`, and how many lines it may send at `at`."""

    deployment: Deployment | None
    looked: float
    at: float
    room: float


@dataclass
class _Log:
    """Of one deployment; `more`: lines that were not kept."""

    deployment: Deployment
    reader: debian_log.Reader = field(default_factory=debian_log.Reader)
    lines: deque[str] = field(default_factory=deque)
    more: int = 0


class Receiver(asyncio.DatagramProtocol):
    """`clock`: monotonic seconds."""

    def __init__(self, hearsay: Hearsay, bounds: Bounds, clock: Callable[[], float]) -> None:
        self._hearsay = hearsay
        self._bounds = bounds
        self._clock = clock
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._logs: dict[str, _Log] = {}

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """One line; whatever it is, nothing is raised."""
        deployment = self._admit(address[0])
        if deployment is None:
            return
        log = self._logs.setdefault(deployment.id, _Log(deployment))
        line = loglines.parse(data)
        news = log.reader.heard(line.program, line.text)
        if news is not None:
            self._hearsay.say(deployment, news)
        if line.severity == _DEBUG or debian_log.is_secret(line.program, line.text):
            return
        text = loglines.shown(line)
        if not text or (log.lines and log.lines[-1] == text):
            return
        log.lines.append(text)
        if len(log.lines) > self._bounds.kept:
            log.lines.popleft()
            log.more += 1

    def flush(self) -> None:
        """Tell what was kept, and forget whose deployment is over."""
        for key, log in list(self._logs.items()):
            if question := log.reader.turn():
                self._hearsay.say(log.deployment, question)
            if log.lines:
                head = [f"… {log.more} more lines"] if log.more else []
                text = "\n".join((*head, *log.lines))
                self._hearsay.say(log.deployment, Callback(Stage.LOG, step="log", message=text))
                log.lines.clear()
                log.more = 0
            if self._hearsay.by_token(log.deployment.token) is None:
                del self._logs[key]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._bounds.seconds)
            self.flush()

    def _admit(self, address: str) -> Deployment | None:
        """The deployment that this line is of; None where it is not to be read."""
        now = self._clock()
        client = self._clients.get(address)
        if client is None:
            burst = self._bounds.burst
            client = _Client(self._hearsay.speaker(address), now, now, burst)
            self._clients[address] = client
            if len(self._clients) > _MEMORY:
                self._clients.popitem(last=False)
        elif now - client.looked > self._bounds.known:
            client.deployment, client.looked = self._hearsay.speaker(address), now
        self._clients.move_to_end(address)
        room = client.room + (now - client.at) * self._bounds.rate
        client.at, client.room = now, min(room, self._bounds.burst)
        if client.room < 1:
            return None
        client.room -= 1
        return client.deployment


@contextlib.asynccontextmanager
async def serving(
    hearsay: Hearsay,
    sock: socket.socket,
    clock: Callable[[], float],
    bounds: Bounds | None = None,
) -> AsyncIterator[Receiver]:
    """Listen on this bound socket until the block ends; takes the socket over."""
    receiver = Receiver(hearsay, bounds or Bounds(), clock)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: receiver, sock=sock)
    try:
        yield receiver
    finally:
        transport.close()
