"""The controller on a real socket, in this process, so that a test can look into its store."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from ironwake_controller import app
from ironwake_controller.__main__ import listen
from ironwake_controller.limits import Limits
from ironwake_controller.server import Server
from ironwake_controller.tokens import Tokens
from ironwake_testing.hostile_http import request
from tests.controller.appliance import ADMIN, SERVICE, Appliance

HURRIED = Limits(head=0.8, idle=0.8, body=0.8, linger=0.4)


@asynccontextmanager
async def served(appliance: Appliance, limits: Limits = HURRIED) -> AsyncIterator[int]:
    """Its port, until the block ends."""
    tokens = Tokens.of(ADMIN, SERVICE)
    server = Server(app.build(appliance.house, tokens, limits), limits)
    with listen("127.0.0.1:0") as sock:
        port = int(sock.getsockname()[1])
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        try:
            yield port
        finally:
            appliance.house.store.bell.close()  # streams end now
            server.should_exit = True
            await serving


@contextmanager
def served_aside(appliance: Appliance) -> Iterator[str]:
    """Its URL, from a thread of its own, for clients that block."""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    ports: list[int] = []
    ready = threading.Event()

    async def serve() -> None:
        async with served(appliance, Limits()) as port:
            ports.append(port)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(60), "it does not listen"
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def bearer(path: str) -> str:
    """The header that opens this path."""
    token = SERVICE if path.startswith("/internal") else ADMIN
    return f"Authorization: Bearer {token}"


def call(method: str, path: str, body: Any = None, fields: tuple[str, ...] = ()) -> bytes:
    """A call as it is on the wire; bytes as a body go as they are."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return request(path, method, (bearer(path), *fields), raw)
