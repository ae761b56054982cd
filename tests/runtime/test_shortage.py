"""At the limit of open files a service waits, and says so once."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import socket
from collections.abc import Callable, Iterator
from typing import Any

import structlog
from structlog.testing import capture_logs

from ironwake_runtime.shortage import Listener, Shortage

_BACKLOG = 100


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """Not one descriptor more for this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = os.open(os.devnull, os.O_RDONLY)
    os.close(spare)  # the lowest free number: all below it are taken
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_connections_wait_until_files_are_free() -> None:
    """asyncio is told of one failure for each try, and all are served when there is room."""
    told: list[str] = []
    served = asyncio.Event()
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        writer.write(await reader.read(1))
        writer.close()
        count += 1
        if count == 3:
            served.set()

    async def story() -> None:
        loop = asyncio.get_running_loop()
        short = asyncio.Event()

        def handle(_: object, context: dict[str, Any]) -> None:
            told.append(context["message"])
            short.set()

        loop.set_exception_handler(handle)
        listener = Listener(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind(("127.0.0.1", 0))
        server = await asyncio.start_server(serve, sock=listener, backlog=_BACKLOG)
        async with server, asyncio.timeout(30):
            clients = [socket.socket() for _ in range(3)]
            try:
                with no_more_files():
                    for client in clients:
                        client.connect(listener.getsockname())
                        client.send(b"x")
                    await short.wait()
                assert told == ["socket.accept() out of system resource"]
                await served.wait()
            finally:
                for client in clients:
                    client.close()

    asyncio.run(story())


def test_a_shortage_and_its_end_are_told_once() -> None:
    """It is over after a minute without one, which is said; then the next one is news."""
    now = 0.0
    timers: list[tuple[float, Callable[[], None]]] = []

    def pass_time(until: float) -> None:
        nonlocal now
        while timers and timers[0][0] <= until:
            now, call = timers.pop(0)
            call()
        now = until

    with capture_logs() as lines:
        shortage = Shortage(
            structlog.get_logger(),
            lambda: now,
            lambda seconds, call: timers.append((now + seconds, call)),
        )
        for moment in (0.0, 1.0, 50.0, 100.0, 161.0, 162.0):
            pass_time(moment)
            shortage.tell(OSError(errno.EMFILE, "Too many open files"))
        pass_time(1000.0)
    said, over = (
        "out of descriptors: clients wait until some are free",
        "descriptors are free again",
    )
    assert [line["event"] for line in lines] == [said, over] * 2
    assert "ulimit" in lines[0]["next_step"]
    assert timers == []
