"""The line to the controller: what of HTTP/1.1 it must get right, against a server that is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake.errors import InputError
from ironwake_runtime.calls import Calls
from ironwake_runtime.reply import Reply

_SECONDS = 60.0
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers each request with the next of `answers`; ends a connection after b"".

    `left` is set once the client has ended one.
    """

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []
        self.connections = 0
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                _, found, length = head.lower().partition(b"content-length: ")
                body = await reader.readexactly(int(length.partition(b"\r")[0]) if found else 0)
                self.asked.append(head + body)
                answer = self.answers.pop(0)
                writer.write(answer)
                await writer.drain()
                if not answer or b"HTTP/1.0" in answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        writer.close()


def run(
    server: Server,
    work: Callable[[Calls], Awaitable[object]],
    path: str = "",
    **more: Any,
) -> object:
    async def whole() -> object:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        calls = Calls(f"http://127.0.0.1:{port}{path}", _SECONDS, **more)
        try:
            return await work(calls)
        finally:
            await calls.close()
            listening.close()

    return asyncio.run(whole())


def test_calls_share_a_connection() -> None:
    """One after the other goes over the same connection, whole requests with their bodies."""
    server = Server(_OK, b"HTTP/1.1 204 No Content\r\n\r\n", _OK)

    async def work(calls: Calls) -> list[Reply]:
        first = await calls.call("GET", "/a", {})
        second = await calls.call("POST", "/b?c=1", {"X-One": "1"}, b"body")
        return [first, second, await calls.call("POST", "/d", {}, b"")]

    assert run(server, work, "/below") == [Reply(200, b"ok"), Reply(204, b""), Reply(200, b"ok")]
    assert server.connections == 1
    assert server.asked[0].startswith(b"GET /below/a HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"POST /below/b?c=1 HTTP/1.1\r\n" in server.asked[1]
    assert b"\r\nX-One: 1\r\nContent-Length: 4\r\n\r\nbody" in server.asked[1]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n",
            b"abcd",
        ),
        (b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH:  3 \r\n\r\nabc", b"abc"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 500 Oh\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", b"x"),
    ],
)
def test_each_way_to_end_a_body(answer: bytes, body: bytes) -> None:
    """By length, in chunks, or with the connection; and the next call works after each."""
    server = Server(answer, _OK)

    async def work(calls: Calls) -> list[bytes]:
        return [(await calls.call("GET", "/", {})).body for _ in range(2)]

    assert run(server, work) == [body, b"ok"]


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=80) | st.builds(lambda raw: b"HTTP/1.1 200 OK\r\n" + raw, st.binary()))
def test_whatever_the_server_says(answer: bytes) -> None:
    """It is a reply or an OSError, nothing else, and never a wait without an end."""

    async def work(calls: Calls) -> object:
        try:
            return await calls.call("GET", "/", {})
        except OSError as error:
            return error

    class Once(Server):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

    assert isinstance(run(Once(), work), Reply | OSError)


def test_a_call_that_is_given_up_leaves_no_reply_to_the_next() -> None:
    """Who is cancelled in the middle takes the connection along."""
    server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", _OK)

    async def work(calls: Calls) -> Reply:
        first = asyncio.ensure_future(calls.call("GET", "/first", {}))
        while not server.asked:
            await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await calls.call("GET", "/second", {})

    assert run(server, work) == Reply(200, b"ok")
    assert server.connections == 2


def test_what_changes_something_is_sent_once() -> None:
    """A kept connection that ends before the reply: the caller hears of it, and decides."""
    server = Server(_OK, b"", _OK)

    async def work(calls: Calls) -> list[Reply]:
        first = await calls.call("POST", "/first", {}, b"{}")
        with pytest.raises(OSError, match="ended before the reply"):
            await calls.call("POST", "/second", {}, b"{}")
        return [first, await calls.call("POST", "/third", {}, b"{}")]

    assert run(server, work) == [Reply(200, b"ok")] * 2
    assert [head.split()[1] for head in server.asked] == [b"/first", b"/second", b"/third"]


def test_connections_that_nobody_uses_are_ended() -> None:
    """By the client, soon after: a storm leaves no descriptors behind."""
    server = Server(_OK, _OK)

    async def work(calls: Calls) -> None:
        await calls.call("POST", "/", {}, b"{}")
        async with asyncio.timeout(_SECONDS):
            await server.left.wait()

    run(server, work, idle=0.01)
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + bytes(101),
        b"HTTP/1.0 200 OK\r\n\r\n" + bytes(101),
    ],
    ids=["told", "in chunks", "to the end"],
)
def test_too_much(answer: bytes) -> None:
    """A reply without a bound is not kept in memory."""

    async def work(calls: Calls) -> None:
        with pytest.raises(OSError, match="the reply is of"):
            await calls.call("GET", "/", {})

    run(Server(answer), work, longest=100)


def test_nobody_listens() -> None:
    """Said in plain words."""

    async def work() -> None:
        listening = await asyncio.start_server(Server().serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        listening.close()
        await listening.wait_closed()
        calls = Calls(f"http://127.0.0.1:{port}", _SECONDS)
        try:
            with pytest.raises(OSError, match=r"^connection refused$"):
                await calls.call("GET", "/", {})
        finally:
            await calls.close()

    asyncio.run(work())


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "127.0.0.1:8080"])
def test_what_is_no_url(url: str) -> None:
    """Said at the start, with the setting's name."""
    with pytest.raises(InputError, match="not a URL"):
        Calls(url, 1.0)
