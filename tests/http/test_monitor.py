"""FAI's monitor on a real port: one line from each connection, closed at once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.report import Stage
from ironwake_http import monitor
from ironwake_http.monitor import Bounds, Monitor
from ironwake_http.ports import listen
from ironwake_runtime.outage import Later, by_the_loop
from tests.http.hearing import become, telling, told, until
from tests.http.rig import PRESEED, PRESEED_TOKEN, TOKEN, UNKNOWN_TOKEN, Rig, run


@contextlib.asynccontextmanager
async def listening(
    rig: Rig, bounds: Bounds | None = None, later: Later = by_the_loop
) -> AsyncIterator[tuple[Monitor, int]]:
    """The monitor and its port."""
    sock = listen("127.0.0.1", 0, "IRONWAKE_MONITOR_PORT")
    port = int(sock.getsockname()[1])
    async with telling(rig) as hearsay, monitor.serving(hearsay, sock, bounds, later) as built:
        yield built, port


async def say(port: int, line: bytes) -> bytes:
    """As FAI's nc: the message, and then whatever comes until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(line)
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(60):
            heard = await reader.read()
        writer.close()
        return heard
    return b""


def from_the_machine(_: str) -> Mac:
    return PRESEED


def test_a_message_with_the_token_is_told_and_the_connection_closed() -> None:
    """FAI waits for the end of each connection: it comes without its own."""

    async def test(rig: Rig) -> None:
        become(rig, "fai-debian-12")
        async with listening(rig, Bounds(grace=0)) as (_, port):
            assert await say(port, f"{PRESEED_TOKEN} TASKBEGIN partition\n".encode()) == b""
            assert await say(port, f"{PRESEED_TOKEN} TASKEND partition 710\n".encode()) == b""
            await until(lambda: len(told(rig)) == 2)
        begun, failed = told(rig)
        assert (begun.stage, begun.step) == (Stage.INSTALLING, "partition")
        assert failed.stage is Stage.FAILED
        assert begun.id
        assert begun.id != failed.id

    run(test)


def test_a_failure_that_was_told_otherwise_is_not_told_again() -> None:
    """A hook brings the end of the log with it, a moment later: it has time for that."""

    async def test(rig: Rig) -> None:
        become(rig, "fai-debian-12")
        held: list[Callable[[], None]] = []
        async with listening(rig, later=lambda _, call: held.append(call)) as (_, port):
            for _again in range(2):
                await say(port, f"{PRESEED_TOKEN} TASKEND partition 710\n".encode())
            become(rig, "fai-debian-12", State.FAILED)
            (late,) = held
            late()
        assert told(rig) == []

    run(test)


def test_without_the_token_the_card_says_who_it_is_and_nothing_ends() -> None:
    """A host's name is anybody's word: progress is believed of its card, an end is not."""

    async def test(rig: Rig) -> None:
        become(rig, "fai-debian-12")
        async with listening(rig) as (_, port):
            await say(port, b"preseed TASKEND partition 710\n")
            await say(port, b"preseed TASKBEGIN instsoft\n")
            await until(lambda: bool(told(rig)))
        assert [callback.step for callback in told(rig)] == ["instsoft"]

    run(test, neighbour=from_the_machine)


@pytest.mark.parametrize("sender", [TOKEN, UNKNOWN_TOKEN, "preseed", "x" * 128])
def test_strangers_are_not_believed(sender: str) -> None:
    """Neither who has no live deployment by FAI, nor an unknown token."""

    async def test(rig: Rig) -> None:
        become(rig, "fai-debian-12")
        async with listening(rig) as (_, port):
            await say(port, f"{sender} TASKBEGIN partition\n".encode())
            await say(port, f"{PRESEED_TOKEN} TASKBEGIN tests\n".encode())
            await until(lambda: bool(rig.controller.callbacks))
        assert [callback.step for callback in told(rig)] == ["tests"]
        assert len(rig.controller.callbacks) == 1

    run(test)


@pytest.mark.parametrize(
    ("release", "state"),
    [("debian-12", State.INSTALLING), ("fai-debian-12", State.SUCCEEDED)],
)
def test_only_fai_that_is_at_work_is_heard(release: str, state: State) -> None:
    """Another installer says nothing here, and what is over is over."""

    async def test(rig: Rig) -> None:
        become(rig, release, state)
        async with listening(rig) as (_, port):
            await say(port, f"{PRESEED_TOKEN} TASKBEGIN partition\n".encode())
        assert rig.controller.callbacks == []

    run(test)


def test_a_client_may_have_so_many_connections_and_no_more() -> None:
    """One that opens many and is silent keeps its own places, which end by themselves."""

    async def test(rig: Rig) -> None:
        become(rig, "fai-debian-12")
        bounds = Bounds(connections=8, per_address=2, seconds=0.05)
        async with listening(rig, bounds) as (_, port):
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
            for reader, _ in silent:
                with contextlib.suppress(ConnectionError):
                    async with asyncio.timeout(60):
                        assert await reader.read() == b""
            await say(port, f"{PRESEED_TOKEN} TASKBEGIN tests\n".encode())
            await until(lambda: bool(told(rig)))
            for _, writer in silent:
                writer.close()

    run(test)


def test_a_line_without_an_end_is_one_when_the_client_has_ended() -> None:
    """And a long one is none."""

    async def test(rig: Rig) -> None:
        become(rig, "fai-debian-12")
        async with listening(rig) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"{PRESEED_TOKEN} TASKBEGIN tests".encode())
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            await say(port, b"A" * 4096)
            await until(lambda: bool(told(rig)))
        assert [callback.step for callback in told(rig)] == ["tests"]

    run(test)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=8))
def test_hostile_octets_never_end_it(pieces: list[bytes]) -> None:
    """Whatever comes, the next message is heard."""

    async def test(rig: Rig) -> None:
        become(rig, "fai-debian-12")
        async with listening(rig) as (_, port):
            for piece in pieces:
                with (
                    contextlib.suppress(OSError),
                    socket.create_connection(("127.0.0.1", port)) as sock,
                ):
                    sock.sendall(piece)
            await say(port, f"{PRESEED_TOKEN} TASKBEGIN tests\n".encode())
            await until(lambda: any(one.step == "tests" for one in told(rig)))

    run(test)
