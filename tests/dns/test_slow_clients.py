"""TCP clients that send slowly, or nothing, or for ever: nobody else waits for them."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from pathlib import Path

from dnslib import RCODE, DNSRecord

from ironwake_dns.server import Limits, Server
from tests.dns.rig import PATIENCE, ask, client, hear, play, serving

_SLOW = Limits(patience=3600.0)  # none is dropped for its slowness while a test runs
_DESCRIPTORS = Path("/proc/self/fd")
_STARTS = (b"", b"\0", b"\0\x20", b"\0\x20half a ques", b"\x04\xd0" + bytes(1000))


async def by_tcp(server: Server, name: str, source: str = "127.0.0.1") -> DNSRecord:
    """One question over a new connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, local_addr=(source, 0))
    try:
        message = DNSRecord.question(name).pack()
        writer.write(len(message).to_bytes(2, "big") + message)
        async with asyncio.timeout(PATIENCE):
            size = int.from_bytes(await reader.readexactly(2), "big")
            return DNSRecord.parse(await reader.readexactly(size))
    finally:
        writer.close()


async def hold(server: Server, stack: ExitStack, source: str, start: bytes) -> socket.socket:
    """A connection that sends `start`, and then nothing."""
    sock = stack.enter_context(socket.socket())
    sock.setblocking(False)
    # Little room, so that what it does not read is soon too much.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.bind((source, 0))
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", server.port))
    sock.send(start)
    return sock


async def held(server: Server, count: int) -> None:
    """Until the service has taken up that many connections."""
    while server.connections < count:
        await asyncio.sleep(0)


def test_many_slow_clients_stop_nobody() -> None:
    """Of hundreds from dozens of addresses, all half-way through a question, the longest-waiting
    make room: whoever has a question is answered, by TCP and UDP, and the number has its bound."""

    async def scene() -> None:
        async with serving(limits=_SLOW) as server:
            before = len(list(_DESCRIPTORS.iterdir()))
            with ExitStack() as stack:
                for number in range(300):
                    source = f"127.0.1.{1 + number % 60}"
                    start = _STARTS[number % len(_STARTS)]
                    await hold(server, stack, source, start)
                    assert server.connections <= _SLOW.connections
                    if number % 20 == 0:
                        found = await by_tcp(server, "node1.site.example")
                        assert str(found.a.rdata) == "127.0.0.10"
                assert str((await ask(server, "node1.site.example")).a.rdata) == "127.0.0.10"
                assert server.counters["connections made room"] > 200
                assert server.counters["failed"] == 0
            while server.connections:  # they have gone, and nothing of them is left
                await asyncio.sleep(0)
            assert len(list(_DESCRIPTORS.iterdir())) == before

    play(scene)


def test_who_asks_keeps_its_place() -> None:
    """A client that goes on asking is not among those that make room."""

    async def scene() -> None:
        async with serving(limits=Limits(connections=4, patience=3600.0)) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            message = DNSRecord.question("node1.site.example").pack()
            with ExitStack() as stack:
                for number in range(20):
                    await hold(server, stack, f"127.0.1.{1 + number}", b"\0")
                    await held(server, min(number + 2, 4))
                    writer.write(len(message).to_bytes(2, "big") + message)
                    async with asyncio.timeout(PATIENCE):
                        size = int.from_bytes(await reader.readexactly(2), "big")
                        await reader.readexactly(size)
            writer.close()

    play(scene)


def test_whose_question_is_being_answered_keeps_its_place() -> None:
    """Newer connections wait, or are turned away, while the resolver is asked for older ones."""

    async def scene() -> None:
        limits = Limits(connections=2, patience=3600.0, resolver=3600.0)
        with client() as resolver, ExitStack() as stack:
            async with serving(limits=limits, resolver=resolver.getsockname()) as server:
                first = asyncio.create_task(by_tcp(server, "a.elsewhere.example", "127.0.2.1"))
                data, peer = await hear(resolver)
                await hold(server, stack, "127.0.1.1", b"\0")
                await held(server, 2)
                second = asyncio.create_task(by_tcp(server, "b.elsewhere.example", "127.0.2.2"))
                data_too, peer_too = await hear(resolver)
                assert server.counters["connections made room"] == 1
                third = await hold(server, stack, "127.0.1.2", b"")
                async with asyncio.timeout(PATIENCE):
                    assert await asyncio.get_running_loop().sock_recv(third, 1) == b""
                assert server.counters["connections refused"] == 1
                for message, to in ((data, peer), (data_too, peer_too)):
                    resolver.sendto(DNSRecord.parse(message).reply().pack(), to)
                assert RCODE[(await first).header.rcode] == "NOERROR"
                assert RCODE[(await second).header.rcode] == "NOERROR"

    play(scene)


def test_a_question_in_pieces_is_a_question() -> None:
    """The length in two halves and the message octet by octet: answered as any other."""

    async def scene() -> None:
        async with serving() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            message = DNSRecord.question("node1.site.example").pack()
            for octet in len(message).to_bytes(2, "big") + message:
                writer.write(bytes((octet,)))
                await writer.drain()
                await ask(server, "node2.site.example")  # the service has had its turn
            async with asyncio.timeout(PATIENCE):
                size = int.from_bytes(await reader.readexactly(2), "big")
                found = DNSRecord.parse(await reader.readexactly(size))
            assert str(found.a.rdata) == "127.0.0.10"
            writer.close()

    play(scene)


def test_who_never_stops_is_cut_off() -> None:
    """Question after question without reading a single answer: it ends."""

    async def scene() -> None:
        async with serving(limits=Limits(patience=0.2, questions=10**9)) as server:
            with ExitStack() as stack:
                sock = await hold(server, stack, "127.0.0.1", b"")
                message = DNSRecord.question("x" * 60 + ".site.example", "ANY").pack()
                flood = (len(message).to_bytes(2, "big") + message) * 500
                loop = asyncio.get_running_loop()
                try:
                    async with asyncio.timeout(PATIENCE):
                        while True:
                            await loop.sock_sendall(sock, flood)
                except ConnectionError:
                    pass
            found = await ask(server, "nobody.site.example")
            assert RCODE[found.header.rcode] == "NXDOMAIN"
            assert server.counters["connections dropped"] == 1

    play(scene)
