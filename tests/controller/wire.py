"""The controller on a real socket, in this process, so that a test can look into its store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ironwake_controller import app
from ironwake_controller.__main__ import listen
from ironwake_controller.limits import Limits
from ironwake_controller.server import Server
from ironwake_controller.tokens import Tokens
from ironwake_testing.hostile_http import request
from tests.controller.appliance import ADMIN, SERVICE, Appliance

HURRIED = Limits(head=0.3, idle=0.3, body=0.3, linger=0.2)


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


def bearer(path: str) -> str:
    """The header that opens this path."""
    token = SERVICE if path.startswith("/internal") else ADMIN
    return f"Authorization: Bearer {token}"


def call(method: str, path: str, body: Any = None, fields: tuple[str, ...] = ()) -> bytes:
    """A call as it is on the wire; bytes as a body go as they are."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return request(path, method, (bearer(path), *fields), raw)
