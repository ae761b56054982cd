"""Carriers: files by threads of their own, on connections that come and go between them and us."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import structlog
from aiohttp import web

from ironwake.report import Seen
from ironwake.site import Shelf, Site, Stored
from ironwake.view import Index, View
from ironwake_http.carriers import Carrier, Client, Ties
from ironwake_http.connection import Connection, Shared
from ironwake_http.limits import Limits
from ironwake_http.ranges import Part
from ironwake_http.sending import Job, Sent, Transfer
from ironwake_http.server import serving
from ironwake_http.stock import Stock
from ironwake_runtime.shortage import is_one
from tests.http.rig import ARCHIVE, ARMED, SHIM, Reply, Rig, put, read_reply, run
from tests.runtime.test_shortage import no_more_files

LOADER, SCRIPT, ALIVE = "/sb/shimx64.efi", f"/boot/{ARMED}/boot.ipxe", "/healthz"
_DESCRIPTORS = Path("/proc/self/fd")
BIG = Stored("debian-12", "archive", "5" * 64, 64 << 20, "big")  # more than any socket's buffers
_PATIENCE = 60.0  # seconds: an end for a broken run, never a measure


def _get(target: str, *fields: str, method: str = "GET") -> bytes:
    lines = (f"{method} {target} HTTP/1.1", "Host: a", *fields, "", "")
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("turn", range(4))
def test_a_connection_may_ask_for_anything_in_any_order(turn: int, together: bool) -> None:
    """Files, scripts and errors come in the order of their requests, by one connection."""
    row = [LOADER, SCRIPT, LOADER, "/sb/nothing", LOADER, LOADER, ALIVE]
    targets = row[turn:] + row[:turn]

    async def test(rig: Rig) -> None:
        alone = [await rig.ask(target) for target in targets]
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        if together:
            writer.write(b"".join(_get(target) for target in targets))
        for target, wanted in zip(targets, alone, strict=True):
            if not together:
                writer.write(_get(target))
            reply = await read_reply(reader)
            assert (reply.status, reply.body) == (wanted.status, wanted.body), target
        writer.close()

    run(test)


@pytest.mark.parametrize("first", ["", ALIVE])
def test_a_head_that_comes_in_pieces(first: str) -> None:
    """A request for a file is the same one, wherever it is cut."""

    async def test(rig: Rig) -> None:
        raw = _get(LOADER, "Range: bytes=3-9")
        for cut in range(1, len(raw)):
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
            for piece in (*([_get(first)] if first else []), raw + raw[:cut], raw[cut:]):
                writer.write(piece)
                await writer.drain()
                reply = await read_reply(reader)
            assert (reply.status, reply.body) == (206, SHIM[3:10])
            writer.close()

    run(test)


def test_every_way_gives_the_same_head() -> None:
    """A file's head is the same by a carrier, by the loop, and for HEAD."""

    def shown(reply: Reply) -> list[tuple[str, str]]:
        return [field for field in reply.fields if field[0] != "Date"]

    async def test(rig: Rig) -> None:
        direct = await rig.ask(LOADER)
        looked = await rig.ask(LOADER, "HEAD")
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        for target in (ALIVE, LOADER):
            writer.write(_get(target))
            lent = await read_reply(reader)
        writer.close()
        assert shown(direct) == shown(lent)
        assert sorted(shown(direct)) == sorted(shown(looked))
        assert direct.fields[0][0] != "Content-Length"

    run(test)


def test_who_has_left_a_carrier_makes_room() -> None:
    """A place is taken while a carrier has the connection, and free when it ends."""

    async def test(rig: Rig) -> None:
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
            writer.write(_get(LOADER))
            assert (await read_reply(reader)).body == SHIM
            late_reader, late_writer = await asyncio.open_connection("127.0.0.1", rig.port)
            assert await late_reader.read() == b""  # there is one place, and it is taken
            late_writer.close()
            writer.write(_get(LOADER, "Connection: close"))
            await read_reply(reader)
            assert await reader.read() == b""
            writer.close()

    run(test, limits=Limits(connections=1, idle=600))


def _big(rig: Rig) -> str:
    path = rig.service.store.path(BIG.sha256)
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(BIG.size)
    rig.service.take(Index(View(1, Site("192.0.2.10", 24), Shelf((BIG,)))))
    return f"/artifacts/{BIG.sha256}/{BIG.file}"


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
        target = _big(rig)
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port, limit=1 << 10)
        if first:
            writer.write(_get(first))
            await read_reply(reader)
        writer.write(_get(target))
        async with asyncio.timeout(_PATIENCE):
            while not rig.reporter.of(Seen.SENT):
                await asyncio.sleep(0)
            (sent,) = rig.reporter.of(Seen.SENT)
            assert sent.detail["complete"] == "no"
            while await _status(rig, ALIVE) != 200:
                pass
        writer.transport.abort()

    run(test, limits=Limits(stall=0.05, connections=1))


@pytest.mark.parametrize("form", ["", "http://a"])
def test_who_says_no_more_and_reads_nothing_keeps_its_place(form: str) -> None:
    """Half-closed connections with a file on its way count, for each has descriptors of ours."""

    async def test(rig: Rig) -> None:
        loop, target, begun = asyncio.get_running_loop(), form + _big(rig), 0
        with contextlib.ExitStack() as stack:
            for _ in range(10):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                await loop.sock_connect(client, ("127.0.0.1", rig.port))
                with contextlib.suppress(ConnectionError):
                    await loop.sock_sendall(client, _get(target))
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
        for target in (first, _big(rig)) if first else (_big(rig),):
            await loop.sock_sendall(client, _get(target))
            assert (await loop.sock_recv(client, 1000)).startswith(b"HTTP/1.1 200 OK")

    with socket.socket() as client:
        client.setblocking(False)
        run(test)
    assert seen[0].reporter.of(Seen.SENT)[0].detail["complete"] == "no"


def test_ranges_at_once_are_the_file() -> None:
    """Many clients that fetch pieces at the same time, each from its own place, get right ones."""
    size = 100_000

    async def test(rig: Rig) -> None:
        target = rig.path("debian-12", "archive")

        async def client(first: int) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
            for start in range(first, len(ARCHIVE) - size, 7 * size):
                writer.write(_get(target, f"Range: bytes={start}-{start + size - 1}"))
                assert (await read_reply(reader)).body == ARCHIVE[start : start + size]
            writer.close()

        await asyncio.gather(*(client(first) for first in range(0, 16 * 1000, 1000)))

    run(test)


def test_headway_is_a_whole_stretch(tmp_path: Path) -> None:
    """The time for a stretch begins anew with each one, and with nothing less."""
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    told: list[Sent] = []
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        file = os.open(path, os.O_RDONLY)
        job = Job(b"head", file, Part(200, 0, 1 << 20), 1 << 19, 10.0, False, told.append)
        transfer, got, now, renewed = Transfer(here, job, 0.0), 0, 0.0, 0
        done = False
        while not done:
            due, now = transfer.due, now + 1.0
            done = transfer.push(now)
            renewed += transfer.due != due
            assert transfer.due in (due, now + job.stall)
            got += len(there.recv(1 << 20))
            assert renewed <= got // job.stretch
        transfer.end(now)
    assert renewed == 2
    assert told == [Sent(1 << 20, 1 << 20, now)]


class _Stuck(Connection):
    """What was said before never leaves."""

    __slots__ = ()

    async def _drain_helper(self) -> None:
        await self._loop.create_future()


def test_a_reply_that_is_cut_off_before_it_begins_is_over(tmp_path: Path) -> None:
    """The end of the service while a file waits for its turn: its descriptor is closed, too."""
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    told: list[Sent] = []

    async def nobody(_: web.BaseRequest) -> web.StreamResponse:
        raise AssertionError("nothing was asked")

    async def test() -> None:
        file = os.open(path, os.O_RDONLY)
        job = Job(b"head", file, Part(200, 0, 5), 1 << 19, 10.0, False, told.append)
        loop, shared = asyncio.get_running_loop(), cast(Shared, None)
        task = asyncio.create_task(_Stuck(web.Server(nobody), shared, None, loop=loop).carry(job))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file)

    asyncio.run(test())
    assert told == [Sent(5)]


def test_a_mistake_in_a_request_for_a_file_holds_nothing() -> None:
    """Whatever goes wrong before a carrier has it, its descriptor is closed; the loop answers."""

    class Mistaken:
        def artifact(self, *_: str) -> Stored:
            raise ZeroDivisionError

    async def test(rig: Rig) -> None:
        target = rig.path("debian-12", "archive")
        before = len(list(_DESCRIPTORS.iterdir()))
        rig.service.stock = cast(Stock, Mistaken())
        with _gc_off():
            for _ in range(20):
                assert (await rig.ask(target)).status == 500
            assert len(list(_DESCRIPTORS.iterdir())) < before + 20

    run(test)


@contextlib.contextmanager
def _gc_off() -> Iterator[None]:
    """What nobody closes stays open."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_who_asks_for_much_at_once_has_others_served_between(tmp_path: Path) -> None:
    """One request in each turn: a client that comes behind hundreds of them does not wait."""
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    studied, served_after = 0, 0

    def job(ended: Callable[[Sent], None]) -> Job:
        file = os.open(path, os.O_RDONLY)
        return Job(b"head", file, Part(200, 0, 5), 1 << 19, 60.0, False, ended)

    def served(_: Sent) -> None:
        nonlocal served_after
        served_after = studied
        done.set()

    def study(_: bytes, __: str) -> Job:
        nonlocal studied
        studied += 1
        if studied == 1:
            carrier.take(Client(late, "late", Transfer(late, job(served), time.monotonic())))
        return job(lambda _: None)

    done = threading.Event()
    carrier = Carrier(
        Ties(study, 60.0, lambda _: None, lambda _: None, structlog.stdlib.get_logger())
    )
    greedy, far = socket.socketpair()
    late, there = socket.socketpair()
    try:
        with far, there:
            for sock in (greedy, late):
                sock.setblocking(False)
            first = Transfer(greedy, job(lambda _: None), time.monotonic())
            carrier.take(Client(greedy, "greedy", first, b"GET /\r\n\r\n" * 500))
            assert done.wait(60)
    finally:
        carrier.close(0.0)
        carrier.join()
    assert served_after < 10


def test_a_service_that_cannot_listen_ends() -> None:
    """With the error, and without threads that nobody ends."""

    async def test(rig: Rig) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wrong:
            with pytest.raises(ValueError, match="Stream"):
                async with serving(rig.service, wrong):
                    pass
            assert wrong.fileno() == -1

    run(test)


def test_what_comes_too_late_for_a_carrier_is_over(tmp_path: Path) -> None:
    """After its end a carrier holds neither the connection nor the file."""
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    told: list[Sent] = []
    left: list[Client] = []
    log = structlog.stdlib.get_logger()
    carrier = Carrier(Ties(lambda *_: None, 60.0, lambda _: None, left.append, log))
    carrier.close(0.0)
    carrier.join()
    here, there = socket.socketpair()
    with there:
        file = os.open(path, os.O_RDONLY)
        job = Job(b"head", file, Part(200, 0, 5), 1 << 19, 60.0, False, told.append)
        carrier.take(Client(here, "a", Transfer(here, job, time.monotonic())))
        assert there.recv(1) == b""
    assert [client.address for client in left] == ["a"]
    assert [sent.size for sent in told] == [0]


@pytest.mark.parametrize("first", [LOADER, ALIVE])
def test_an_empty_file_is_a_file(first: str) -> None:
    """Of no bytes, and the connection goes on behind it."""

    async def test(rig: Rig) -> None:
        sha256 = put(rig.service.store, b"").sha256
        empty = Stored("debian-12", "empty", sha256, 0, "empty")
        shelf = Shelf((*rig.shelf.items, empty))
        rig.service.take(Index(View(1, Site("192.0.2.10", 24), shelf)))
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        for target in (first, f"/artifacts/{sha256}/empty", first, f"/artifacts/{sha256}/empty"):
            writer.write(_get(target))
            async with asyncio.timeout(60):
                reply = await read_reply(reader)
            assert (reply.status, not reply.body) == (200, target != first)
        writer.close()

    run(test)


@pytest.mark.parametrize("first", [LOADER, ALIVE])
def test_without_a_free_descriptor_a_client_is_told_to_ask_again(first: str) -> None:
    """Not that the file is damaged; and the service hears of it where it is said once."""

    async def test(rig: Rig) -> None:
        told: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        target = rig.path("debian-12", "archive")
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(_get(first))
        await read_reply(reader)
        with no_more_files():
            writer.write(_get(target))
            async with asyncio.timeout(60):
                short = await read_reply(reader)
        assert short.status == 503
        assert b"no descriptor is free" in short.body
        assert short.field("Retry-After")
        assert told
        assert all(is_one(context["exception"]) for context in told)
        writer.write(_get(target))
        async with asyncio.timeout(60):
            assert (await read_reply(reader)).body == ARCHIVE
        writer.close()

    run(test)


def test_a_place_is_free_before_the_client_sees_its_end() -> None:
    """Whoever is back at once finds it: the gate hears of it first."""
    told: list[str] = []
    here, there = socket.socketpair()
    for end in (here, there):
        end.setblocking(False)

    def left(client: Client) -> None:
        try:
            there.recv(1)
        except BlockingIOError:  # neither a word nor the end
            told.append(client.address)

    ties = Ties(lambda *_: None, 600.0, left, left, structlog.stdlib.get_logger())
    carrier = Carrier(ties)
    try:
        carrier.take(Client(here, "192.0.2.20", None, due=0.0))
    finally:
        carrier.close(0.0)
        carrier.join()
        there.close()
    assert told == ["192.0.2.20"]
