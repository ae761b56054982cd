"""The listening side: aiohttp's server on a socket of ours, and the carriers beside it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from ironwake_http.artifacts import Clerk, Files
from ironwake_http.carriers import Carriers, Client, Ties
from ironwake_http.connection import Connection, Gate, Shared
from ironwake_http.heads import strictness
from ironwake_http.service import Dispatcher, Service, Table
from ironwake_http.table import ROUTES
from ironwake_runtime.outage import Row

_BACKLOG = 1024  # a room full of machines that wake in the same second
_GOODBYE = 1.0  # seconds for running requests at the end; machines ask again


class _Server(web.Server):
    """Makes our kind of connection, see `Connection`; keeps the carriers."""

    def __init__(self, service: Service) -> None:
        super().__init__(Dispatcher(service, ROUTES).handle)
        limits = service.limits
        self._service = service
        gate = Gate(limits.connections, limits.per_address)
        crowd = Row(service.log, "too many connections", "there is room for connections again")
        clerk = Clerk(service, ROUTES)
        self.carriers = Carriers(
            Ties(
                clerk.study,
                limits.idle,
                back=lambda client: service.tell(self._come_back, client),
                left=lambda client: service.tell(gate.leave, client.address),
                log=service.log,
            )
        )
        self._shared = Shared(gate, limits, service.log, self.carriers, _begin(ROUTES), crowd)
        self._returning: set[asyncio.Task[object]] = set()
        self._options: dict[str, Any] = {  # the same for every connection
            **strictness(limits),
            "loop": service.loop,
            "keepalive_timeout": limits.idle,
            # aiohttp's own logger would print tracebacks of what strangers send.
            "logger": logging.Logger("quiet", level=logging.CRITICAL + 1),
            "access_log": None,
            "lingering_time": limits.linger,
            "timeout_ceil_threshold": 3600,  # round no short time up to whole seconds
        }

    def __call__(self, back: Client | None = None) -> Connection:
        return Connection(self, self._shared, back, **self._options)

    def _come_back(self, client: Client) -> None:
        """A carrier's client wants something that is no file."""
        made = self._service.loop.connect_accepted_socket(lambda: self(client), client.sock)
        task = asyncio.ensure_future(made)
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)


def _begin(table: Table) -> tuple[bytes, ...]:
    """How all requests begin that are a carrier's; others may be, with another spelling."""
    files = (route.names[0] for route in table if isinstance(route.handler, Files))
    return tuple(f"GET /{name}/".encode() for name in files)


@asynccontextmanager
async def serving(service: Service, sock: socket.socket) -> AsyncIterator[None]:
    """Serve on this bound socket until the block ends; takes the socket over."""
    server = _Server(service)
    try:
        listening = await service.loop.create_server(server, sock=sock, backlog=_BACKLOG)
        try:
            yield
        finally:
            listening.close()
            server.pre_shutdown()
            server.carriers.close(_GOODBYE)
            await server.shutdown(_GOODBYE)
    finally:
        server.carriers.close(0.0)  # where they were not told: there was no listening
        await asyncio.to_thread(server.carriers.join)
        sock.close()
