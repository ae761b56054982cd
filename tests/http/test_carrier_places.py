"""Places at the gate: whoever has a carrier has one, and it is free when the connection ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from ironwake.report import Seen
from ironwake_http.limits import Limits
from tests.http.rig import ALIVE, LOADER, SHIM, Rig, read_reply, request, run, stock_large

_PATIENCE = 60.0  # seconds: an end for a broken run, never a measure


def test_who_has_left_a_carrier_makes_room() -> None:
    """A place is taken while a carrier has the connection, and free when it ends."""

    async def test(rig: Rig) -> None:
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
            writer.write(request(LOADER))
            assert (await read_reply(reader)).body == SHIM
            late_reader, late_writer = await asyncio.open_connection("127.0.0.1", rig.port)
            assert await late_reader.read() == b""  # there is one place, and it is taken
            late_writer.close()
            writer.write(request(LOADER, "Connection: close"))
            await read_reply(reader)
            assert await reader.read() == b""
            writer.close()

    run(test, limits=Limits(connections=1, idle=600))


async def _status(rig: Rig, target: str) -> int:
    """Of the reply; 0 where there is no place for one more."""
    try:
        return (await rig.ask(target)).status
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0


@pytest.mark.parametrize("first", ["", ALIVE])
def test_standing_still_ends_it_by_either_way(first: str) -> None:
    """A client that reads no more is let go and told, and its place is free for the next one."""

    async def test(rig: Rig) -> None:
        target = stock_large(rig)
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port, limit=1 << 10)
        if first:
            writer.write(request(first))
            await read_reply(reader)
        writer.write(request(target))
        async with asyncio.timeout(_PATIENCE):
            sent = await rig.reporter.first(Seen.SENT)
            assert rig.reporter.of(Seen.SENT) == [sent]
            assert sent.detail["complete"] == "no"
            while await _status(rig, ALIVE) != 200:
                pass
        writer.transport.abort()

    run(test, limits=Limits(stall=0.05, connections=1))


@pytest.mark.parametrize("form", ["", "http://a"])
def test_who_says_no_more_and_reads_nothing_keeps_its_place(form: str) -> None:
    """Half-closed connections with a file on its way count, for each has descriptors of ours."""

    async def test(rig: Rig) -> None:
        loop, target, begun = asyncio.get_running_loop(), form + stock_large(rig), 0
        with contextlib.ExitStack() as stack:
            for _ in range(10):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                await loop.sock_connect(client, ("127.0.0.1", rig.port))
                with contextlib.suppress(ConnectionError):
                    await loop.sock_sendall(client, request(target))
                    begun += bool(await loop.sock_recv(client, 100))
                    client.shutdown(socket.SHUT_WR)
                for _ in range(100):  # it has its end told by the kernel, not by us
                    await asyncio.sleep(0)
        assert begun == 3
        async with asyncio.timeout(60):  # they have left, and there is room again
            while not await _is_served(rig):
                await asyncio.sleep(0)

    run(test, limits=Limits(connections=3, stall=600))


async def _is_served(rig: Rig) -> bool:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        return (await rig.ask(ALIVE)).status == 200
    return False


@pytest.mark.parametrize("first", ["", ALIVE])
def test_the_end_of_the_service_waits_for_nobody_long(first: str) -> None:
    """A transfer that hangs when the service ends is cut off, and told as not complete."""
    seen: list[Rig] = []

    async def test(rig: Rig) -> None:
        seen.append(rig)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", rig.port))
        for target in (first, stock_large(rig)) if first else (stock_large(rig),):
            await loop.sock_sendall(client, request(target))
            assert (await loop.sock_recv(client, 1000)).startswith(b"HTTP/1.1 200 OK")

    with socket.socket() as client:
        client.setblocking(False)
        run(test)
    assert seen[0].reporter.of(Seen.SENT)[0].detail["complete"] == "no"
