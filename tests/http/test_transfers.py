"""Transfers in a carrier's hands, without a service around it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import structlog
from aiohttp import web

from ironwake_http.carriers import Carrier, Client, Ties
from ironwake_http.connection import Connection, Shared
from ironwake_http.ranges import Part
from ironwake_http.sending import Job, Sent, Transfer


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
