"""Connections: how many there may be, and how long one may take to say what it wants.

The clock for the headers is aiohttp's keep-alive timer: it starts with the connection, only a
complete request stops it, and so it cuts clients that dribble a header per minute, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from ironwake_http.carriers import READ, Carriers, Client
from ironwake_http.limits import Limits
from ironwake_http.replies import refusal
from ironwake_http.sending import Job, Sent, Transfer
from ironwake_runtime.outage import Row
from ironwake_runtime.ports import set_stall
from ironwake_runtime.shortage import ShortageError


class Gate:
    """Counts connections, in total and by address."""

    def __init__(self, total: int, per_address: int) -> None:
        self._total = total
        self._per_address = per_address
        self._open: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Whether one more may come in; `leave` it, if so."""
        if self._open.total() >= self._total or self._open[address] >= self._per_address:
            return False
        self._open[address] += 1
        return True

    def leave(self, address: str) -> None:
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]


@dataclass(frozen=True)
class Shared:
    """What all connections share. `files`: how requests for files begin. `crowd`: of connections
    that there was no place for."""

    gate: Gate
    limits: Limits
    log: structlog.stdlib.BoundLogger
    carriers: Carriers
    files: tuple[bytes, ...]
    crowd: Row


class Connection(RequestHandler):
    """aiohttp's, behind a gate, with error replies that GRUB and shim survive.

    One that begins with a file becomes a carrier's. `back` is one that came back from there.
    """

    __slots__ = ("_address", "_back", "_fresh", "_made", "_shared")

    def __init__(
        self, server: web.Server, shared: Shared, back: Client | None, **options: Any
    ) -> None:
        super().__init__(server, **options)
        self._shared = shared
        self._back = back
        self._fresh = back is None
        self._made = False
        self._address = back.address if back else ""  # empty: without a place in the gate

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        if self._back is None:
            address = str((transport.get_extra_info("peername") or ("",))[0])
            if not self._shared.gate.enter(address):
                self._shared.crowd.more(client=address)
                transport.abort()
                return
            self._address = address
            set_stall(transport.get_extra_info("socket"), self._shared.limits.stall)
        # Writing is paused while anything waits, so that a carrier's bytes come after ours.
        transport.set_write_buffer_limits(0)
        self._made = True
        super().connection_made(transport)
        if self._back is not None:
            self.data_received(self._back.read)
            self._back = None

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._address:
            self._shared.gate.leave(self._address)
            self._address = ""
        if self._made:
            self._made = False
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        fresh, self._fresh = self._fresh, False
        if not (fresh and data.startswith(self._shared.files) and self._move(data)):
            super().data_received(data)

    def _move(self, data: bytes) -> bool:
        """Give this connection to a carrier, where its first request is for a file."""
        if self._close or self._force_close or self.transport is None:
            return False
        head, end, rest = data.partition(b"\r\n\r\n")
        # Many requests at once are the loop's: nobody waits for it as a carrier's clients would.
        if not end or len(rest) > READ:
            return False
        try:
            sock = _twin(self.transport)
        except OSError:  # no descriptor is free: the loop's way says so
            return False
        if sock is None:
            return False
        job = self._study(head + end)
        if job is None:
            sock.close()
            return False
        transfer = Transfer(sock, job, time.monotonic())
        self._shared.carriers.take(Client(sock, self._address, transfer, rest))
        self._address = ""
        self.transport.abort()
        return True

    def _study(self, head: bytes) -> Job | None:
        try:
            return self._shared.carriers.study(head, self._address)
        except Exception as error:  # the loop's way has a reply for it
            self._shared.log.error("request not studied", exc_info=error)
            return None

    async def carry(self, job: Job) -> None:
        """Have a carrier send this reply; a client that leaves or stands still is no error.

        ShortageError: no descriptor is free for it.
        """
        try:
            with contextlib.suppress(ConnectionError):
                await self._drain_helper()
            sock = _twin(self.transport)
        except OSError as error:
            job.drop()
            self._loop.call_exception_handler({"message": "file not sent", "exception": error})
            raise ShortageError from error
        except BaseException:
            job.drop()
            raise
        if sock is None:
            job.drop()
        elif await self._lend(sock, job):
            return
        if self.transport is not None:
            self.transport.abort()

    async def _lend(self, sock: socket.socket, job: Job) -> bool:
        """Whether a carrier has sent it all.

        The place in the gate is kept for so long: a client that says no more (FIN) has asyncio end
        this connection at once, while the carrier has its descriptors still.
        """
        over = self._loop.create_future()

        def ended(sent: Sent) -> None:
            job.ended(sent)
            with contextlib.suppress(RuntimeError):  # the loop is no more
                self._loop.call_soon_threadsafe(tell, sent)

        def tell(sent: Sent) -> None:
            if not over.done():
                over.set_result(sent.size == sent.wanted)

        told = dataclasses.replace(job, ended=ended)  # not as `job`, which `ended` calls
        address, self._address = self._address, ""
        try:
            transfer = Transfer(sock, told, time.monotonic())
            self._shared.carriers.take(Client(sock, address, transfer, lent=True))
            return bool(await over)
        finally:
            if self.transport is None:
                self._shared.gate.leave(address)
            else:
                self._address = address

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 (aiohttp's signature)
    ) -> web.StreamResponse:
        """The reply to what is not HTTP (400), and to a mistake of ours (500)."""
        if status >= 500:
            self._shared.log.error("handler failed", path=_place(request.raw_path), exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionResetError("the reply is half sent: nothing can be said any more")
        words = {400: "this is not a request that we understand"}
        reply = refusal(
            status, words.get(status, "we failed; the log of the http service says why")
        )
        reply.force_close()
        return reply


def _place(path: str) -> str:
    """The part of a path that is no secret."""
    return "/" + path.lstrip("/").partition("/")[0]


def _twin(transport: asyncio.Transport | None) -> socket.socket | None:
    """Another descriptor of this connection, for a carrier; None where it ends.

    OSError: none is free.
    """
    if transport is None or transport.is_closing():
        return None
    return cast(socket.socket, transport.get_extra_info("socket")).dup()


def let_go_soon(transport: asyncio.BaseTransport, seconds: int) -> None:
    """Forget a peer that goes without a word after the reply, acknowledging our end or not.

    A client of one boot may come from the same port at the next: GRUB counts both its ports and
    its sequence numbers from the same start, and stops for good when its SYN meets what is left of
    the connection before (RFC 9293 section 3.10.7.4).
    """
    sock = transport.get_extra_info("socket")
    set_stall(sock, seconds)
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, seconds)
