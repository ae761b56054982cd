"""Lines of installers' logs, by UDP: kept for a moment, then told in pieces, the newest of many.

Only machines with a live deployment are listened to, and each may send so many lines a second: a
log is for a person, who reads its end. What a line says of progress is told at once. Who sends it
is told by an address that anybody can write into a datagram: nothing of it is proof.
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
_MEMORY: Final = 1024  # addresses of machines that are heard, and as many of strangers


@dataclass(frozen=True)
class Bounds:
    """`rate`: lines a second of one deployment, `burst` of them at once. `kept`: lines of a piece,
    every `seconds`. `known`: seconds for which it is remembered whose an address is.
    """

    rate: float = 200.0
    burst: float = 2000.0
    kept: int = 20
    seconds: float = 5.0
    known: float = 3.0


@dataclass(slots=True)
class _Log:
    """Of one deployment, which may send `room` lines at `at`; `more`: lines that were not kept."""

    deployment: Deployment
    at: float
    room: float
    reader: debian_log.Reader = field(default_factory=debian_log.Reader)
    lines: deque[str] = field(default_factory=deque)
    more: int = 0


class Receiver(asyncio.DatagramProtocol):
    """`clock`: monotonic seconds."""

    def __init__(self, hearsay: Hearsay, bounds: Bounds, clock: Callable[[], float]) -> None:
        self._hearsay = hearsay
        self._bounds = bounds
        self._clock = clock
        # Apart: strangers, of whom one sender can make as many as it likes, push out no machine.
        self._heard: OrderedDict[str, tuple[float, Deployment]] = OrderedDict()
        self._strangers: OrderedDict[str, float] = OrderedDict()
        self._logs: dict[str, _Log] = {}

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """One line; whatever it is, nothing is raised."""
        now = self._clock()
        deployment = self._speaker(address[0], now)
        log = self._admit(deployment, now) if deployment else None
        if log is None:
            return
        line = loglines.parse(data)
        news = log.reader.heard(line.program, line.text)
        if news is not None:
            self._hearsay.overhear(log.deployment, news)
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
                self._hearsay.overhear(log.deployment, question)
            if log.lines:
                head = [f"… {log.more} more lines"] if log.more else []
                text = "\n".join((*head, *log.lines))
                self._hearsay.overhear(
                    log.deployment, Callback(Stage.LOG, step="log", message=text)
                )
                log.lines.clear()
                log.more = 0
            if self._hearsay.by_token(log.deployment.token) is None:
                del self._logs[key]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._bounds.seconds)
            self.flush()

    def _speaker(self, address: str, now: float) -> Deployment | None:
        """Whose line it is; looked up every few seconds."""
        since = now - self._bounds.known
        looked, deployment = self._heard.get(address, (self._strangers.get(address), None))
        if looked is not None and looked >= since:
            return deployment
        deployment = self._hearsay.speaker(address)
        self._heard.pop(address, None)
        self._strangers.pop(address, None)
        if deployment is not None:
            self._heard[address] = now, deployment
            if len(self._heard) > _MEMORY:
                self._heard.popitem(last=False)
        else:
            self._strangers[address] = now
            if len(self._strangers) > _MEMORY:
                self._strangers.popitem(last=False)
        return deployment

    def _admit(self, deployment: Deployment, now: float) -> _Log | None:
        """The log that a line goes to, if there is room for it."""
        bounds = self._bounds
        log = self._logs.get(deployment.id)
        if log is None:
            log = self._logs[deployment.id] = _Log(deployment, now, bounds.burst)
        log.room = min(log.room + (now - log.at) * bounds.rate, bounds.burst)
        log.at = now
        if log.room < 1:
            return None
        log.room -= 1
        return log


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
