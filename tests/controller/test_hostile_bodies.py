"""Bodies at every route that takes one: too large, without an end, and no JSON that can be kept."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

from fastapi import FastAPI

from ironwake_controller import app
from ironwake_controller.limits import Limits
from ironwake_testing.hostile_http import (
    BROKEN_JSON,
    JSON,
    assert_quiet,
    converse,
    converse_all,
    flood,
    peak_memory,
    request,
)
from ironwake_testing.quiet import quiet as quiet
from tests.controller.appliance import Appliance
from tests.controller.process import Start
from tests.controller.wire import call, served

_BODIES = ("POST", "PUT", "PATCH")
_ROOM = 48 << 20  # bytes that a process may grow by; a seventh of what it is sent at once


def _routes(application: FastAPI) -> Iterator[tuple[str, str]]:
    for method, path in app.every_route(application):
        if method in _BODIES:
            yield method, re.sub(r"\{[^}]*token\}", "a" * 64, path).replace("{name}", "node1")


def test_every_route_refuses_what_is_no_json(appliance: Appliance) -> None:
    """Whatever a strict reader does not take is 422 before any route hears of it; the rest is fine
    or the caller's fault."""
    appliance.enrol()
    routes = list(_routes(app.routes(appliance.house)))
    assert len(routes) > 12
    rows = [(name, row) for name in JSON for row in routes]

    async def whole() -> None:
        async with served(appliance, Limits()) as port:
            calls = [call(method, path, JSON[name]) for name, (method, path) in rows]
            for row, answers in zip(rows, await converse_all(port, calls), strict=True):
                answers.check(row)
                (status,) = answers.statuses
                assert status == 422 or row[0] not in BROKEN_JSON, (row, answers.raw[:600])

    asyncio.run(whole())


def test_too_much_is_not_kept(start: Start) -> None:
    """Sixteen megabytes to every route at once, with a length and without: 413, no memory."""
    process = start()
    port = process.wait_ready()
    pid = process.process.pid
    secrets = process.folder / "secrets"
    tokens = {
        role: (secrets / f"{role}.token").read_text().strip() for role in ("admin", "service")
    }
    with process.client(port, "admin") as admin:
        schema = admin.get("/openapi.json").json()
    routes = [
        (method.upper(), path)
        for path, methods in schema["paths"].items()
        for method in methods
        if method.upper() in _BODIES
    ]
    before = peak_memory(pid)

    async def whole() -> None:
        for length in (None, 16 << 20):
            for known in (True, False):
                found = await asyncio.gather(
                    *(
                        flood(port, method, path, (_field(tokens, path),) if known else (), length)
                        for method, path in routes
                    )
                )
                for (method, path), answers in zip(routes, found, strict=True):
                    answers.check((method, path))
                    assert set(answers.statuses) <= {413 if known else 401}, (method, path)
                assert any(answers.statuses for answers in found)
        assert (await converse(port, request("/healthz"))).statuses == [200]

    asyncio.run(whole())
    assert peak_memory(pid) - before < _ROOM
    assert_quiet("".join(process.said))


def _field(tokens: dict[str, str], path: str) -> str:
    role = "service" if path.startswith("/internal") else "admin"
    return f"Authorization: Bearer {tokens[role]}"
