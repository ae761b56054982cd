"""Carriers: files by threads of their own, on connections that come and go between them and us."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from ironwake.site import Shelf, Site, Stored
from ironwake.view import Index, View
from ironwake_http.server import serving
from ironwake_http.stock import Stock
from ironwake_runtime.shortage import is_one
from tests.http.rig import (
    ALIVE,
    ARCHIVE,
    ARMED,
    LOADER,
    SHIM,
    Reply,
    Rig,
    put,
    read_reply,
    request,
    run,
)
from tests.runtime.test_shortage import no_more_files

SCRIPT = f"/boot/{ARMED}/boot.ipxe"
_DESCRIPTORS = Path("/proc/self/fd")


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
            writer.write(b"".join(request(target) for target in targets))
        for target, wanted in zip(targets, alone, strict=True):
            if not together:
                writer.write(request(target))
            reply = await read_reply(reader)
            assert (reply.status, reply.body) == (wanted.status, wanted.body), target
        writer.close()

    run(test)


@pytest.mark.parametrize("first", ["", ALIVE])
def test_a_head_that_comes_in_pieces(first: str) -> None:
    """A request for a file is the same one, wherever it is cut."""

    async def test(rig: Rig) -> None:
        raw = request(LOADER, "Range: bytes=3-9")
        for cut in range(1, len(raw)):
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
            for piece in (*([request(first)] if first else []), raw + raw[:cut], raw[cut:]):
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
            writer.write(request(target))
            lent = await read_reply(reader)
        writer.close()
        assert shown(direct) == shown(lent)
        assert sorted(shown(direct)) == sorted(shown(looked))
        assert direct.fields[0][0] != "Content-Length"

    run(test)


def test_ranges_at_once_are_the_file() -> None:
    """Many clients that fetch pieces at the same time, each from its own place, get right ones."""
    size = 100_000

    async def test(rig: Rig) -> None:
        target = rig.path("debian-12", "archive")

        async def client(first: int) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
            for start in range(first, len(ARCHIVE) - size, 7 * size):
                writer.write(request(target, f"Range: bytes={start}-{start + size - 1}"))
                assert (await read_reply(reader)).body == ARCHIVE[start : start + size]
            writer.close()

        await asyncio.gather(*(client(first) for first in range(0, 16 * 1000, 1000)))

    run(test)


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
            writer.write(request(target))
            async with asyncio.timeout(60):
                reply = await read_reply(reader)
            assert (reply.status, not reply.body) == (200, target != first)
        writer.close()

    run(test)


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


@pytest.mark.parametrize("first", [LOADER, ALIVE])
def test_without_a_free_descriptor_a_client_is_told_to_ask_again(first: str) -> None:
    """Not that the file is damaged; and the service hears of it where it is said once."""

    async def test(rig: Rig) -> None:
        told: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        target = rig.path("debian-12", "archive")
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(request(first))
        await read_reply(reader)
        with no_more_files():
            writer.write(request(target))
            async with asyncio.timeout(60):
                short = await read_reply(reader)
        assert short.status == 503
        assert b"no descriptor is free" in short.body
        assert short.field("Retry-After")
        assert told
        assert all(is_one(context["exception"]) for context in told)
        writer.write(request(target))
        async with asyncio.timeout(60):
            assert (await read_reply(reader)).body == ARCHIVE
        writer.close()

    run(test)


def test_a_service_that_cannot_listen_ends() -> None:
    """With the error, and without threads that nobody ends."""

    async def test(rig: Rig) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wrong:
            with pytest.raises(ValueError, match="Stream"):
                async with serving(rig.service, wrong):
                    pass
            assert wrong.fileno() == -1

    run(test)
