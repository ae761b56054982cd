"""The DNS service on loopback, and clients that ask it."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from dnslib import DNSRecord

from ironwake_dns.answer import Zone
from ironwake_dns.server import Address, Limits, Server, Surroundings, listen
from tests.dns.site import zone

LOCAL = zone("127.0.0.1", 8)
PATIENCE = 10.0  # seconds until a test that hangs is called failed; nothing waits for it


@asynccontextmanager
async def serving(
    *,
    known: Zone | None = LOCAL,
    resolver: Address | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[Server]:
    log: Any = structlog.wrap_logger(structlog.PrintLogger(io.StringIO()))
    sockets = listen("127.0.0.1", 0)
    around = Surroundings(lambda: known, log, resolver)
    server = Server(sockets, socket.if_nametoindex("lo"), around, limits)
    task = asyncio.create_task(server.run())
    await asyncio.sleep(0)
    try:
        yield server
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def play(scene: Callable[[], Awaitable[None]], patience: float = 60.0) -> None:
    """The whole scene; `patience` in seconds is an end for a broken one, never a measure."""
    asyncio.run(asyncio.wait_for(scene(), patience))


def client(address: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.bind((address, 0))
    return sock


async def hear(sock: socket.socket) -> tuple[bytes, Address]:
    loop = asyncio.get_running_loop()
    return await asyncio.wait_for(loop.sock_recvfrom(sock, 4096), PATIENCE)


async def ask(server: Server, name: str, kind: str = "A", source: str = "127.0.0.1") -> DNSRecord:
    """One question by UDP."""
    with client(source) as sock:
        asked = DNSRecord.question(name, kind)
        sock.sendto(asked.pack(), ("127.0.0.1", server.port))
        data, _ = await hear(sock)
        found = DNSRecord.parse(data)
        assert found.header.id == asked.header.id
        return found


@asynccontextmanager
async def resolving(
    answers: Callable[[DNSRecord], Iterable[DNSRecord]],
) -> AsyncIterator[Address]:
    """A resolver on loopback; to each question it sends `answers`, in their order."""
    with client() as sock:

        async def serve() -> None:
            loop = asyncio.get_running_loop()
            while True:
                data, peer = await loop.sock_recvfrom(sock, 4096)
                for answer in answers(DNSRecord.parse(data)):
                    sock.sendto(answer.pack(), peer)

        task = asyncio.create_task(serve())
        try:
            yield sock.getsockname()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
