"""The service on loopback, with real clients, recorded requests, and hostile datagrams."""

from __future__ import annotations

import asyncio
import io
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
import tftpy

from ironwake.mac import Mac
from ironwake.report import Seen
from ironwake.site import Stored
from ironwake_tftp.admission import Caps
from ironwake_tftp.files import Registry
from ironwake_tftp.options import Limits
from ironwake_tftp.packet import data_packet
from ironwake_tftp.server import Server, Surroundings, listen
from tests.tftp.network import Client
from tests.tftp.rack import ARMED, CONTENT, GRUB, SHIM, UNARMED, fetch, index
from tests.tftp.recorded import requests
from tests.tftp.test_packet import MALFORMED

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
) -> AsyncIterator[Rig]:
    """A machine with card `mac` asks, which the kernel knows only after `forgotten` looks."""
    reported: Reported = []

    def report(
        seen: Seen, mac: str = "", client: str = "", detail: dict[str, str] | None = None
    ) -> None:
        assert client.startswith("127.0.0.")
        reported.append((seen, mac, detail or {}))

    view = index()
    log: Any = structlog.wrap_logger(structlog.PrintLogger(io.StringIO()))
    cards = iter([None] * forgotten)
    asked: list[str] = []

    def ask(address: str) -> bool:
        asked.append(address)
        return near

    around = Surroundings(lambda: view, lambda _: next(cards, mac), ask, report, log)
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


def play(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 60))


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


def test_an_edk2_boot_from_probe_to_bytes() -> None:
    """Size probe, ERROR 8, the read with a window of 4, and the timeline that comes of it."""

    async def scene() -> None:
        async with serving(limits=Limits()) as rig, socket_of_client() as sock:
            rig.ask(RRQ, sock)
            oack, server = await hear(sock)
            assert oack == b"\0\6blksize\x001468\0tsize\x001036152\0windowsize\x004\0"
            assert server != rig.address, "each transfer has a port of its own"
            sock.sendto(b"\0\5\0\x08User aborted the transfer\0", server)
            await rig.idle()
            client = Client(blksize=1468, windowsize=4)
            await read_all(rig, RRQ.replace(b"tsize\x000\0", b""), client)
            assert bytes(client.received) == SHIM
            await rig.idle()
            assert [seen for seen, _, _ in rig.reported] == [Seen.LOADER, Seen.SENT]
            assert rig.reported[0][1] == ARMED
            assert rig.reported[1][2]["bytes"] == "1036152"
            assert rig.reported[1][2]["outcome"] == "completed"
            assert rig.server.counters["probed"] == 1

    play(scene)


def test_every_recorded_request_is_answered() -> None:
    """What firmware sent is answered with an OACK for its options, or ERROR 1 at once."""

    async def scene() -> None:
        known = {name.rpartition("/")[2] for name in CONTENT} | set(CONTENT)
        async with serving(limits=Limits(), caps=Caps(per_source=1000)) as rig:
            for data, request in requests():
                async with socket_of_client() as sock:
                    rig.ask(data, sock)
                    answer, _ = await hear(sock)
                    if request.name.lstrip("/") in known:
                        assert answer.startswith(b"\0\6blksize\0" + str(request.blksize).encode())
                    else:
                        assert answer.startswith(b"\0\5\0\1"), request

    play(scene)


@pytest.mark.parametrize("options", [{}, {"blksize": 8192}, {"blksize": 1468, "tsize": 0}])
def test_tftpy_reads_a_file(options: dict[str, int], tmp_path: Path) -> None:
    """tftpy's client, with and without options, gets the file byte for byte."""

    async def scene() -> None:
        async with serving() as rig:
            client = tftpy.TftpClient("127.0.0.1", rig.server.port, options)
            target = tmp_path / "grub"
            await asyncio.to_thread(client.download, "sb/grubx64.efi", str(target))
            assert target.read_bytes() == GRUB

    play(scene)


CLIENTS = {
    "curl": ["curl", "-s", "-o", "{out}", "tftp://127.0.0.1:{port}/{name}"],
    "curl-blksize": [
        *("curl", "-s", "--tftp-blksize", "8192", "-o", "{out}"),
        "tftp://127.0.0.1:{port}/{name}",
    ],
    "tftp-octet": ["tftp", "-m", "octet", "127.0.0.1", "{port}", "-c", "get", "{name}", "{out}"],
    "tftp-netascii": ["tftp", "-m", "ascii", "127.0.0.1", "{port}", "-c", "get", "{name}", "{out}"],
    "busybox": [
        *("busybox", "tftp", "-g", "-b", "1468", "-r", "{name}", "-l", "{out}"),
        *("127.0.0.1", "{port}"),
    ],
    "atftp": ["atftp", "-g", "-r", "{name}", "-l", "{out}", "127.0.0.1", "{port}"],
    "atftp-window": [
        *("atftp", "--option", "blksize 1428", "--option", "windowsize 16"),
        *("--option", "tsize 0", "--option", "timeout 2"),
        *("-g", "-r", "{name}", "-l", "{out}", "127.0.0.1", "{port}"),
    ],
}


@pytest.mark.parametrize("client", CLIENTS)
def test_other_peoples_clients_read_a_file(client: str, tmp_path: Path) -> None:
    """curl, tftp-hpa, BusyBox and atftp get every loader byte for byte."""
    if shutil.which(CLIENTS[client][0]) is None:
        pytest.skip(f"{CLIENTS[client][0]} is not installed")

    async def scene() -> None:
        async with serving() as rig:
            for number, (name, content) in enumerate(CONTENT.items()):
                if client == "tftp-netascii" and len(content) > 1 << 19:
                    continue
                out = tmp_path / str(number)
                words = [
                    word.format(out=out, port=rig.server.port, name=name)
                    for word in CLIENTS[client]
                ]
                process = await asyncio.create_subprocess_exec(*words)
                assert await process.wait() == 0
                assert out.read_bytes() == content, name
            assert rig.server.counters["failed"] == 0

    play(scene)


def test_hostile_datagrams_get_one_error_or_silence() -> None:
    """What ends tftpy's server draws one small ERROR or nothing here, and service goes on."""

    async def scene() -> None:
        async with serving() as rig, socket_of_client() as sock:
            for data in [*MALFORMED, b"\0\4\0\1", b"\0\5\0\0x\0"]:
                rig.ask(data, sock)
            rig.ask(b"\0\1no/such/file\0octet\0blksize\0abc\0", sock)
            answers: list[bytes] = []
            while not answers or answers[-1][:4] != b"\0\5\0\1":
                answers.append((await hear(sock))[0])
            assert len(answers) < len(MALFORMED)
            assert all(answer[:2] == b"\0\5" and len(answer) <= 105 for answer in answers)
            assert rig.server.counters["malformed"] == len(MALFORMED)
            client = Client(blksize=512)
            await read_all(rig, b"\0\1sb/grubx64.efi\0octet\0blksize\0abc\0", client)
            assert bytes(client.received) == GRUB

    play(scene)


def test_writing_is_refused() -> None:
    """WRQ gets ERROR 2 in words, and opens nothing."""

    async def scene() -> None:
        async with serving() as rig, socket_of_client() as sock:
            rig.ask(b"\0\2sb/shimx64.efi\0octet\0", sock)
            answer, _ = await hear(sock)
            assert answer == b"\0\5\0\2this server is read-only\0"
            assert rig.server.transfers == 0

    play(scene)


def test_a_machine_that_shall_not_boot_gets_error_1() -> None:
    """The unarmed machine gets "file not found" for a loader; the refusal is reported once."""

    async def scene() -> None:
        async with serving(mac=UNARMED) as rig, socket_of_client() as sock:
            for _ in range(3):
                rig.ask(RRQ, sock)
                answer, _ = await hear(sock)
                assert answer == b"\0\5\0\1file not found\0"
            ((seen, mac, detail),) = rig.reported
            assert (seen, mac) == (Seen.REFUSED, UNARMED)
            assert "no deployment" in detail["reason"]

    play(scene)


def test_a_card_that_the_kernel_forgot_is_asked_for() -> None:
    """An armed machine that is missing in the neighbour table gets its file, and no ERROR."""

    async def scene() -> None:
        async with serving(forgotten=1) as rig, socket_of_client() as sock:
            rig.ask(RRQ, sock)
            answer, _ = await hear(sock)
            assert answer.startswith(b"\0\6")
            assert rig.asked == ["127.0.0.1"]

    play(scene)


def test_an_address_that_no_card_has_gets_nothing() -> None:
    """A request in the name of nobody on our network draws silence; the next one is served."""

    async def scene() -> None:
        async with serving(forgotten=2) as rig, socket_of_client() as sock:
            rig.ask(RRQ, sock)
            while rig.server.counters["card asked for"] == 0 or rig.server.looking:
                await asyncio.sleep(0)
            assert rig.server.transfers == 0
            rig.ask(RRQ, sock)
            answer, _ = await hear(sock)
            assert answer.startswith(b"\0\6"), "the first datagram that was sent"

    play(scene)


def test_cards_that_are_asked_for_are_bounded() -> None:
    """A flood in the names of nobody has the kernel ask a few hundred times, not thousands."""

    async def scene() -> None:
        async with serving(mac=None) as rig, socket_of_client() as sock:
            for _ in range(60):
                for _ in range(50):
                    rig.ask(RRQ, sock)
                await asyncio.sleep(0)
                assert rig.server.looking <= 256
            assert rig.server.transfers == 0

    play(scene)


def test_an_address_of_another_network_is_refused_at_once() -> None:
    """Behind a router there is no card to ask for: what is not known is told so."""

    async def scene() -> None:
        async with serving(mac=None, near=False) as rig, socket_of_client() as sock:
            rig.ask(RRQ, sock)
            answer, _ = await hear(sock)
            assert answer[:4] == b"\0\5\0\1"

    play(scene)


def test_a_repeated_request_is_answered_from_the_same_port() -> None:
    """A client whose OACK was lost asks again: same transfer, same answer."""

    async def scene() -> None:
        async with serving() as rig, socket_of_client() as sock:
            rig.ask(RRQ, sock)
            first = await hear(sock)
            rig.ask(RRQ, sock)
            assert await hear(sock) == first
            assert rig.server.transfers == 1

    play(scene)


def test_a_strangers_datagram_gets_error_5() -> None:
    """An ACK from another port is told off, and the transfer is undisturbed."""

    async def scene() -> None:
        async with (
            serving() as rig,
            socket_of_client() as sock,
            socket_of_client() as stranger,
        ):
            rig.ask(RRQ, sock)
            _, server = await hear(sock)
            stranger.sendto(b"\0\4\0\0", server)
            answer, _ = await hear(stranger)
            assert answer[:4] == b"\0\5\0\5"
            sock.sendto(b"\0\4\0\0", server)
            assert (await hear(sock))[0] == data_packet(1, SHIM[:1468])

    play(scene)


def test_a_broken_store_ends_one_request_only() -> None:
    """When an artifact can't be read its client hears of it, and the next file is served."""

    def broken(item: Stored) -> bytes:
        if item.role == "sb/shimx64.efi":
            raise OSError("input/output error")
        return fetch(item)

    async def scene() -> None:
        async with serving(broken) as rig, socket_of_client() as sock:
            rig.ask(RRQ, sock)
            assert (await hear(sock))[0] == b"\0\5\0\0the server failed\0"
            client = Client(blksize=512)
            await read_all(rig, b"\0\1sb/grubx64.efi\0octet\0", client)
            assert bytes(client.received) == GRUB
            assert rig.server.counters["failed"] == 1

    play(scene)


def test_orphans_leave_room_for_a_real_client() -> None:
    """Thousands of unacknowledged requests: bounded sockets, and a real client is served."""

    async def scene() -> None:
        async with serving(caps=Caps(total=64, per_source=10**6)) as rig:
            for n in range(3000):
                async with socket_of_client(f"127.0.0.{1 + n % 200}") as orphan:
                    rig.ask(RRQ, orphan)
                if n % 50 == 0:
                    await asyncio.sleep(0)
                assert rig.server.transfers <= 64
            client = Client(blksize=1468, windowsize=4)
            await read_all(rig, RRQ, client)
            assert bytes(client.received) == SHIM

    play(scene)


@pytest.mark.parametrize("blksize", [8, 512, 1468])
def test_windows_of_every_size_of_block(blksize: int) -> None:
    """An OACK that is longer than a block goes out whole, and the blocks after it in order."""

    async def scene() -> None:
        async with serving() as rig:
            client = Client(blksize=blksize, windowsize=64)
            options = b"blksize\0%d\0tsize\x000\0windowsize\x0064\0timeout\x005\0" % blksize
            await read_all(rig, b"\0\1ipxe/ipxe.efi\0octet\0" + options, client)
            assert bytes(client.received) == CONTENT["ipxe/ipxe.efi"]
            assert b"tsize\x0010240\0" in client.oack

    play(scene)


def test_every_transfer_has_a_port_of_its_own() -> None:
    """Transfers that run side by side never share a port, though each has two sockets on it."""

    async def scene() -> None:
        async with serving(caps=Caps(per_source=1000)) as rig, AsyncExitStack() as stack:
            ports = []
            for _ in range(100):
                sock = await stack.enter_async_context(socket_of_client())
                rig.ask(RRQ, sock)
                ports.append((await hear(sock))[1])
            assert len(set(ports)) == 100

    play(scene)


def test_many_clients_at_once() -> None:
    """Two hundred clients read one loader at the same time, and each gets all of it."""

    async def scene() -> None:
        async with serving(caps=Caps(per_source=1000)) as rig:
            clients = [Client(blksize=1468, windowsize=4) for _ in range(200)]
            request = b"\0\1sb/grubx64.efi\0octet\0blksize\x001468\0windowsize\x004\0"
            await asyncio.gather(*(read_all(rig, request, client) for client in clients))
            assert all(bytes(client.received) == GRUB for client in clients)
            await rig.idle()
            assert rig.server.counters["completed"] == 200

    play(scene)
