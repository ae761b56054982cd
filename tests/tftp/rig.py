"""The TFTP service on loopback, and clients that ask it."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import structlog

from ironwake.mac import Mac
from ironwake.report import Seen
from ironwake.site import Stored
from ironwake_tftp.admission import Caps
from ironwake_tftp.files import Registry
from ironwake_tftp.options import Limits
from ironwake_tftp.server import Server, Surroundings, listen
from tests.tftp.network import Client
from tests.tftp.rack import ARMED, fetch, index

PATIENCE = 10.0  # seconds until a test that hangs is called failed; nothing waits for it
RRQ = b"\0\1sb/shimx64.efi\0octet\0blksize\x001468\0tsize\x000\0windowsize\x004\0"

Reported = list[tuple[Seen, str, dict[str, str]]]


class Rig:
    """A running server on an ephemeral port of the loopback interface."""

    def __init__(self, server: Server, reported: Reported, asked: list[str]) -> None:
        self.server = server
        self.reported = reported
        self.asked = asked  # addresses whose card the kernel was to ask for
        self.address = ("127.0.0.1", server.port)

    def ask(self, data: bytes, sock: socket.socket) -> None:
        sock.sendto(data, self.address)

    async def idle(self) -> None:
        """Until no transfer is left; the loop turns in between."""
        while self.server.transfers:
            await asyncio.sleep(0)


@asynccontextmanager
async def serving(
    fetcher: Callable[[Stored], bytes] = fetch,
    mac: Mac | None = ARMED,
    limits: Limits | None = None,
    caps: Caps | None = None,
    forgotten: int = 0,
    near: bool = True,
    cards: Mapping[str, Mac] | None = None,
) -> AsyncIterator[Rig]:
    """A machine with card `mac` asks, which the kernel knows only after `forgotten` looks; at the
    addresses of `cards` are others."""
    reported: Reported = []

    def report(
        seen: Seen, mac: str = "", client: str = "", detail: dict[str, str] | None = None
    ) -> None:
        assert client.startswith("127.0.0.")
        reported.append((seen, mac, detail or {}))

    view = index()
    log: Any = structlog.wrap_logger(structlog.PrintLogger(io.StringIO()))
    known = iter([None] * forgotten)
    asked: list[str] = []

    def ask(address: str) -> bool:
        asked.append(address)
        return near

    def neighbour(address: str) -> Mac | None:
        return cards[address] if cards and address in cards else next(known, mac)

    around = Surroundings(lambda: view, neighbour, ask, report, log)
    limits = limits or Limits(max_blksize=65464)
    sock = listen("lo", 0)
    server = Server(sock, socket.if_nametoindex("lo"), Registry(fetcher), around, limits, caps)
    task = asyncio.create_task(server.run())
    await asyncio.sleep(0)
    try:
        yield Rig(server, reported, asked)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def socket_of_client(address: str = "127.0.0.1") -> AsyncIterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind((address, 0))
        yield sock


def play(scene: Callable[[], Awaitable[None]], patience: float = 60.0) -> None:
    """The whole scene; `patience` in seconds is an end for a broken one, never a measure."""
    asyncio.run(asyncio.wait_for(scene(), patience))


async def hear(sock: socket.socket) -> tuple[bytes, tuple[str, int]]:
    loop = asyncio.get_running_loop()
    return await asyncio.wait_for(loop.sock_recvfrom(sock, 70_000), PATIENCE)


async def read_all(rig: Rig, request: bytes, client: Client) -> tuple[str, int]:
    """Read a file as `client` does; gives the address that served it."""
    async with socket_of_client() as sock:
        rig.ask(request, sock)
        while True:
            data, server = await hear(sock)
            answer = client.hear(data)
            if answer is not None:
                sock.sendto(answer, server)
            if client.done:
                return server
