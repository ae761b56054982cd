"""The listening side: aiohttp's server on a socket of ours, on the stock asyncio loop.

Never uvloop: its sendfile is not there, and the bytes would be copied at ten times the cost.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from ironwake_http.connection import Connection, Gate
from ironwake_http.service import Dispatcher, Service
from ironwake_http.table import ROUTES

_BACKLOG = 1024  # a room full of machines that wake in the same second
_GOODBYE = 1.0  # seconds for running requests at the end; machines ask again


class _Server(web.Server):
    """Makes our kind of connection; see `Connection`."""

    def __init__(self, service: Service) -> None:
        dispatcher = Dispatcher(service, ROUTES)
        super().__init__(dispatcher.handle)
        limits = service.limits
        self._service = service
        self._gate = Gate(limits.connections, limits.per_address)
        # aiohttp's own logger would print tracebacks of what strangers send.
        self._quiet = logging.Logger("quiet", level=logging.CRITICAL + 1)

    def __call__(self) -> Connection:
        limits = self._service.limits
        return Connection(
            self,
            self._gate,
            limits,
            self._service.log,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limits.idle,
            logger=self._quiet,
            access_log=None,
            max_line_size=limits.line,
            max_field_size=limits.line,
            max_headers=limits.headers,
            lingering_time=limits.linger,
            auto_decompress=False,
            timeout_ceil_threshold=3600,  # round no short time up to whole seconds
        )


@asynccontextmanager
async def serving(service: Service, sock: socket.socket) -> AsyncIterator[None]:
    """Serve on this bound socket until the block ends; takes the socket over."""
    server = _Server(service)
    listening = await asyncio.get_running_loop().create_server(server, sock=sock, backlog=_BACKLOG)
    try:
        yield
    finally:
        listening.close()
        server.pre_shutdown()
        await server.shutdown(_GOODBYE)
