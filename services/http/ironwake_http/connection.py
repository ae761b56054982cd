"""Connections: how many there may be, and how long one may take to say what it wants.

The clock for the headers is aiohttp's keep-alive timer: it starts with the connection, only a
complete request stops it, and so it cuts clients that dribble a header per minute, too.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from typing import Any, cast

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from ironwake_http.limits import Limits
from ironwake_http.replies import refusal


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


class Connection(RequestHandler):
    """aiohttp's, behind a gate, with error replies that GRUB and shim survive."""

    __slots__ = ("_address", "_gate", "_log", "_stall")

    def __init__(
        self,
        server: web.Server,
        gate: Gate,
        limits: Limits,
        log: structlog.stdlib.BoundLogger,
        **options: Any,
    ) -> None:
        super().__init__(server, **options)
        self._gate = gate
        self._log = log
        self._stall = limits.stall
        self._address: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        address = str((transport.get_extra_info("peername") or ("",))[0])
        if not self._gate.enter(address):
            self._log.warning("too many connections", client=address)
            cast(asyncio.Transport, transport).abort()
            return
        self._address = address
        set_stall(transport, self._stall)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._address is None:  # was never let in
            return
        self._gate.leave(self._address)
        self._address = None
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 (aiohttp's signature)
    ) -> web.StreamResponse:
        """The reply to what is not HTTP (400), and to a mistake of ours (500)."""
        if status >= 500:
            self._log.error("handler failed", path=_place(request.raw_path), exc_info=exc)
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


def set_stall(transport: asyncio.BaseTransport, seconds: float) -> None:
    """Let the kernel drop a peer that has acknowledged nothing for so long (tcp(7))."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def let_go_soon(transport: asyncio.BaseTransport, seconds: int) -> None:
    """Forget a peer that goes without a word after the reply, acknowledging our end or not.

    A client of one boot may come from the same port at the next: GRUB counts both its ports and
    its sequence numbers from the same start, and stops for good when its SYN meets what is left of
    the connection before (RFC 9293 section 3.10.7.4).
    """
    set_stall(transport, seconds)
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, seconds)
