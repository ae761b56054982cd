"""Connections: how many, how long, and what a client that stands still costs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ironwake.report import Seen
from ironwake_http.connection import Gate
from ironwake_http.limits import Limits
from tests.http.rig import GRUB, LARGE, SHIM, Rig, read_reply, request, run, stock_large

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


@given(st.lists(st.sampled_from("abc+"), max_size=60))
def test_the_gate_counts(steps: list[str]) -> None:
    """No order of coming and going lets in too many, or loses a place for good."""
    gate = Gate(4, 2)
    inside: list[str] = []
    for step in steps:
        if step == "+":
            if inside:
                gate.leave(inside.pop(0))
            continue
        room = len(inside) < 4 and inside.count(step) < 2
        assert gate.enter(step) is room
        if room:
            inside.append(step)
    for address in inside:
        gate.leave(address)
    assert [gate.enter(address) for address in "aabb"] == [True] * 4


@pytest.mark.parametrize("limits", [Limits(per_address=2), Limits(connections=2)])
def test_too_many_connections_are_turned_away(limits: Limits) -> None:
    """One too many is closed at once, a row of them said once, and there is room again when
    another ends."""

    async def test(rig: Rig) -> None:
        pairs = []
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
            writer.write(REQUEST)
            await read_reply(reader)
            pairs.append((reader, writer))
        with capture_logs() as lines:
            for _ in range(5):
                reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
                writer.close()
        assert [line["event"] for line in lines] == ["too many connections"]
        reader, writer = pairs.pop()
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await reader.read()  # its end is seen, so the server has let go of it
        writer.close()
        assert (await rig.ask("/healthz")).status == 200
        pairs[0][1].close()

    run(test, limits=limits)


@pytest.mark.parametrize("first", [b"", b"G", REQUEST[:-2], REQUEST, REQUEST + REQUEST[:9]])
def test_headers_that_do_not_come_are_not_waited_for(first: bytes) -> None:
    """Silence before, within and after a request ends the connection when the time is over."""

    async def test(rig: Rig) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(first)
        reply = await reader.read()
        assert (b"200 OK" in reply) is first.startswith(REQUEST)
        writer.close()

    run(test, limits=Limits(idle=0.05))


def test_dribbled_headers_are_cut() -> None:
    """A header now and then does not keep a connection open."""

    async def test(rig: Rig) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(REQUEST[:-2])

        async def dribble() -> None:
            while True:
                writer.write(b"X: y\r\n")
                await writer.drain()
                await asyncio.sleep(0.02)  # the client's own slowness: what is tested

        slow = asyncio.ensure_future(dribble())
        with contextlib.suppress(ConnectionError):
            assert b"200" not in await reader.read()
        slow.cancel()
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await slow
        writer.close()

    run(test, limits=Limits(idle=0.1, headers=100_000))


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    ],
)
def test_oversized_heads_are_refused(head: bytes) -> None:
    """A line, a header or a number of headers beyond all need is 400, and the end."""

    async def test(rig: Rig) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(head)
        assert (await read_reply(reader)).status == 400
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()

    run(test)


def test_a_client_that_stands_still_is_let_go() -> None:
    """A transfer that makes no headway ends, and is told as not complete."""

    async def test(rig: Rig) -> None:
        target = stock_large(rig)
        with socket.create_connection(("127.0.0.1", rig.port)) as sock:
            sock.sendall(request(target))
            sent = await rig.reporter.first(Seen.SENT)
        assert sent.detail["complete"] == "no"
        assert int(sent.detail["bytes"]) < LARGE.size
        assert len(rig.reporter.of(Seen.SENT)) == 1

    run(test, limits=Limits(stall=0.05))


def test_a_client_that_leaves_is_no_error() -> None:
    """A connection that breaks in mid-transfer is told as not complete, and the service goes on."""

    async def test(rig: Rig) -> None:
        target = stock_large(rig)
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(request(target))
        await reader.read(1000)
        writer.transport.abort()
        assert (await rig.reporter.first(Seen.SENT)).detail["complete"] == "no"
        assert (await rig.ask("/healthz")).status == 200

    run(test)


@pytest.mark.root  # to vanish without a word, a socket must be taken apart by TCP_REPAIR
def test_a_machine_that_vanished_can_come_from_the_same_port() -> None:
    """GRUB acknowledges our end, starts a disk, and is gone; its next boot begins at that port."""

    async def test(rig: Rig) -> None:
        loop = asyncio.get_running_loop()
        sock = await _grub(rig)
        mine = sock.getsockname()
        await loop.sock_sendall(sock, REQUEST[:-2] + b"User-Agent: GRUB 2.12\r\n\r\n")
        while await loop.sock_recv(sock, 65536):
            pass
        async with asyncio.timeout(40):  # less than the minute that the kernel waits by itself
            while _state(rig.port, mine[1]) == _FIN_WAIT1:
                await asyncio.sleep(0)
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
            sock.close()
            while _state(rig.port, mine[1]) is not None:
                await asyncio.sleep(0)

    run(test, limits=Limits(grub_script_stall=1))


_TCP_REPAIR = 19  # tcp(7), linux/tcp.h; the socket module has no name for it
_FIN_WAIT1 = 4  # include/net/tcp_states.h


async def _grub(rig: Rig) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", rig.port))
    return sock


def _state(port: int, other: int) -> int | None:
    """Of our end of that connection, as the kernel has it; None when it has let go of it."""
    ends = f":{port:04X}", f":{other:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, ours, theirs, state, *_ = line.split()
        if (ours[-5:], theirs[-5:]) == ends:
            return int(state, 16)
    return None


def test_files_among_other_things() -> None:
    """A loader asks for its script and then for files: all come on the same connection, whole."""

    async def test(rig: Rig) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        for path in (
            "/healthz",
            "/sb/shimx64.efi",
            "/healthz",
            "/sb/grubx64.efi",
            "/sb/shimx64.efi",
        ):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            reply = await read_reply(reader)
            assert reply.body == {"/sb/shimx64.efi": SHIM, "/sb/grubx64.efi": GRUB}.get(
                path, b"ok\n"
            )
        writer.close()

    run(test)


def test_a_slow_client_is_none_that_stands_still() -> None:
    """A room that shares an old switch, or GRUB on slow firmware: 16 KB/s is headway enough."""
    limits = Limits()
    assert limits.stretch / limits.stall < 16_000
    assert limits.grub_stretch / limits.grub_stall < 16_000


def test_grub_may_pause_before_it_reads_its_ramdisk() -> None:
    """It opens the file long before; cut off meanwhile, it stops at its prompt for good."""
    assert Limits().grub_stall >= 30
