"""Connections: half a request, one that can be read in two ways, and what a flood of them costs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ironwake_controller.limits import Limits
from ironwake_testing.hostile_http import converse, heads, request, smuggling
from ironwake_testing.quiet import quiet as quiet
from tests.controller.appliance import Appliance
from tests.controller.wire import HURRIED, bearer, call, served

MACHINES = "/v1/machines"
HEALTH = request("/healthz")
SMUGGLED = call("POST", MACHINES, {"name": "smuggled", "macs": ["52:54:00:77:00:66"]})
HEAD = f"POST {MACHINES} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
PATIENT = Limits(head=600, idle=600, body=600, linger=600)


def play(
    appliance: Appliance,
    scene: Callable[[int], Coroutine[Any, Any, None]],
    limits: Limits = HURRIED,
) -> None:
    """The scene against the controller's port; afterwards it still answers, and has kept quiet."""

    async def whole() -> None:
        async with served(appliance, limits) as port:
            await scene(port)
            assert (await converse(port, HEALTH)).statuses == [200]

    asyncio.run(whole())


@pytest.mark.parametrize("first", [b"", b"G", HEALTH[:-2], HEAD.encode() + b"X: y\r\n"])
def test_half_a_head_is_not_waited_for(appliance: Appliance, first: bytes) -> None:
    """Silence before and within a head ends the connection."""

    async def scene(port: int) -> None:
        assert (await converse(port, first)).raw == b""

    play(appliance, scene)


def test_dribbled_heads_are_cut(appliance: Appliance) -> None:
    """A field now and then does not keep a connection open."""

    async def scene(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        dribbling = asyncio.ensure_future(_dribble(writer, HEALTH[:-2]))
        assert await _all(reader) == b""
        dribbling.cancel()
        writer.transport.abort()

    play(appliance, scene)


@pytest.mark.parametrize("fields", ["Content-Length: 900000", "Transfer-Encoding: chunked"])
def test_bodies_after_a_refusal_have_an_end(appliance: Appliance, fields: str) -> None:
    """Who has no token is not listened to for ever, however much he has to say."""

    async def scene(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{HEAD}{fields}\r\n\r\n".encode())
        dribbling = asyncio.ensure_future(_dribble(writer, b"1\r\nx\r\n"))
        assert b" 401 " in await _all(reader)
        dribbling.cancel()
        writer.transport.abort()

    play(appliance, scene)


def test_slow_bodies_are_cut(appliance: Appliance) -> None:
    """A body that was promised and does not come is 408."""

    async def scene(port: int) -> None:
        for field in ("Content-Length: 90", "Transfer-Encoding: chunked"):
            head = f"{HEAD}{bearer(MACHINES)}\r\n{field}\r\n\r\n9\r\n".encode()
            assert (await converse(port, head)).statuses == [408]

    play(appliance, scene)


def test_half_a_call_is_not_carried_out(appliance: Appliance) -> None:
    """A client that leaves in the middle has said nothing; least of all the part that was left out.

    `confirm` without a body takes whichever board was seen last.
    """
    appliance.enrol()
    before = appliance.history()
    path = f"{MACHINES}/node1/lock"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{bearer(path)}\r\nContent-Length: 90\r\n\r\n"
    )

    async def scene(port: int) -> None:
        for body in (b"", b'{"uuid": "2e0e'):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode() + body)
            await writer.drain()
            writer.close()
        for bad in (b"5\r\nhello\r\nzz\r\n", b"zz\r\n"):
            chunked = head.replace("Content-Length: 90", "Transfer-Encoding: chunked").encode()
            assert (await converse(port, chunked + bad)).statuses == [400]

    play(appliance, scene)
    assert appliance.history() == before


@pytest.mark.parametrize("token", [True, False], ids=["token", "no token"])
def test_the_end_waits_for_no_body(appliance: Appliance, token: bool) -> None:
    """Whoever has not said all of his call when the controller stops is left, without an error."""

    async def whole() -> None:
        async with served(appliance, PATIENT) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            fields = f"{bearer(MACHINES)}\r\n" if token else ""
            writer.write(
                f"{HEAD}{fields}Expect: 100-continue\r\nContent-Length: 9\r\n\r\n".encode()
            )
            await reader.readuntil(b"\r\n\r\n")
        await _all(reader)
        writer.close()

    asyncio.run(whole())


@pytest.mark.parametrize("token", [True, False], ids=["token", "no token"])
def test_no_request_hides_in_another(appliance: Appliance, token: bool) -> None:
    """Whatever states its length in two ways, or in none that we know, carries nothing else in."""
    fields = (bearer(MACHINES),) if token else ()

    async def scene(port: int) -> None:
        rows = smuggling(MACHINES, fields, SMUGGLED)
        found = await asyncio.gather(*(converse(port, raw) for raw in rows.values()))
        for name, answers in zip(rows, found, strict=True):
            answers.check(name)
            assert len(answers.statuses) <= 1, (name, answers.raw[:600])
            assert all(status >= 400 for status in answers.statuses), name

    play(appliance, scene)
    assert appliance.good("GET", MACHINES)["items"] == []


def test_strange_heads(appliance: Appliance) -> None:
    """What is not HTTP, and too much of it, is refused in words, or ends without any."""

    async def scene(port: int) -> None:
        rows = heads()
        found = await asyncio.gather(*(converse(port, raw) for raw in rows.values()))
        for name, answers in zip(rows, found, strict=True):
            answers.check(name)
            if 400 in answers.statuses:
                assert b"application/problem+json" in answers.raw

    play(appliance, scene)


def test_bad_bytes_behind_an_answer(appliance: Appliance) -> None:
    """A call that was refused before its body came: what is wrong with that is not told again."""

    async def scene(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n".encode())
        assert b" 401 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"helloXX\r\nzz\r\n")
        assert b" 400 " not in await _all(reader)
        writer.close()

    play(appliance, scene, PATIENT)


def test_bodies_where_none_is_wanted(appliance: Appliance) -> None:
    """Who needs no token has nothing to tell: the answer does not wait for his body."""

    async def scene(port: int) -> None:
        for method, status in (("GET", b" 200 "), ("POST", b" 405 ")):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"{method} /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\n"
            writer.write(head.encode())
            assert status in await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()

    play(appliance, scene, PATIENT)


def test_nine_hundred_half_open_keep_nobody_out(appliance: Appliance) -> None:
    """While all of them are held, a client is answered."""

    async def scene(port: int) -> None:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(900)]
        for _, writer in held:
            writer.write(HEAD.encode())
        assert (await converse(port, call("GET", MACHINES))).statuses == [200]
        assert not any(reader.at_eof() for reader, _ in held)
        for _, writer in held:
            writer.transport.abort()

    play(appliance, scene, PATIENT)


def test_the_oldest_that_waits_makes_room(appliance: Appliance) -> None:
    """More connections than there may be: those go that have said nothing, not one that works."""

    async def scene(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        fields = (bearer("/v1/events"), "Accept: text/event-stream")
        writer.write(request("/v1/events", fields=fields))
        await reader.readuntil(b": following\n\n")
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(30)]
        assert (await converse(port, HEALTH)).statuses == [200]
        for first, _ in held[:20]:
            assert await _all(first) == b""
        await asyncio.to_thread(appliance.enrol)
        assert b"enrolled" in await reader.readuntil(b"\n\n")
        for _, other in ((reader, writer), *held):
            other.transport.abort()

    play(appliance, scene, Limits(connections=8, head=600, idle=600))


async def _dribble(writer: asyncio.StreamWriter, first: bytes) -> None:
    """Go on saying a little for ever."""
    try:
        while True:
            writer.write(first)
            first = b"X: y\r\n" if first.endswith(b": close\r\n") else first
            await writer.drain()
            await asyncio.sleep(0.02)  # the client's own slowness: what is tested
    except ConnectionError:
        return


async def _all(reader: asyncio.StreamReader) -> bytes:
    heard = b""
    try:
        async with asyncio.timeout(60):
            while piece := await reader.read(65536):
                heard += piece
    except ConnectionError:
        return heard
    return heard
