"""Before any route: who may call it, how large a call may be. ASGI, so that nothing slips past.

Every path is denied unless a row of `DOORS` opens it: a new route without a row answers nobody.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ironwake_controller import problems
from ironwake_controller.metrics import Metrics
from ironwake_controller.tokens import Role, Tokens
from ironwake_runtime.settings import Settings

_OPEN: frozenset[Role] = frozenset()
_LARGEST = 1 << 20  # bytes of a body: the largest that we know is 200 observations
_DEEPEST = 24  # levels of JSON; ours have six

# Path, or beginning of one ("/v1/"), and whose token opens it; none is wanted where the set is
# empty. /metrics wants a token though it has no secrets: behind a published port everybody
# comes from the loopback address.
DOORS: tuple[tuple[str, frozenset[Role]], ...] = (
    ("/v1/", frozenset({Role.ADMIN})),
    ("/internal/", frozenset({Role.SERVICE})),
    ("/metrics", frozenset({Role.ADMIN, Role.SERVICE})),
    ("/openapi.json", _OPEN),
    ("/healthz", _OPEN),
    ("/readyz", _OPEN),
)


def door(path: str) -> frozenset[Role] | None:
    """Whose token opens this path; None: nobody's."""
    for row, roles in DOORS:
        if path == row or (row.endswith("/") and path.startswith(row)):
            return roles
    return None


class Guard:
    """The outermost layer of the application."""

    def __init__(
        self, app: ASGIApp, tokens: Tokens, hosts: frozenset[str], metrics: Metrics
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._hosts = hosts
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = {key.lower(): value for key, value in scope["headers"]}
        denied = self._denied(scope["path"], headers)
        if denied is not None:
            self._metrics.denied.labels(str(denied.status_code)).inc()
            await denied(scope, receive, send)
            return
        raw = await _body(receive)
        wrong = _oversized() if raw is None else _wrong(raw)
        if wrong is not None:
            await wrong(scope, receive, send)
            return
        await self._app(_as_json(scope), _again(raw or b"", receive), send)

    def _denied(self, path: str, headers: dict[bytes, bytes]) -> Response | None:
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._knows(host):
            return problems.reply(
                421, f"this is not {host[:80]!r}", "use the address that the controller listens on"
            )
        roles = door(path)
        if roles == _OPEN:
            return None
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        role = self._tokens.role(token.strip()) if scheme.lower() == "bearer" else None
        if role is None:
            return problems.reply(
                401,
                "a token is wanted, and this call has none that is right",
                "send the header: Authorization: Bearer TOKEN (see: ironwake token)",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if roles is None or role not in roles:
            return problems.reply(403, f"the {role} token does not open {path[:200]}")
        return _too_long(headers)

    def _knows(self, host: str) -> bool:
        """A page in a browser can make its own name mean our address, never an address another."""
        name = re.sub(r":\d{1,5}$", "", host).strip("[]").lower()
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _as_json(scope: Scope) -> Scope:
    """Every body here is JSON, whatever `curl -d` calls it."""
    others = [(key, value) for key, value in scope["headers"] if key.lower() != b"content-type"]
    return {**scope, "headers": [*others, (b"content-type", b"application/json")]}


def hosts(settings: Settings) -> frozenset[str]:
    """The names under which we may be called, besides addresses."""
    name = urlsplit(settings.controller_url).hostname or "localhost"
    return frozenset({"localhost", name.lower()})


def _too_long(headers: dict[bytes, bytes]) -> Response | None:
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length[:20]) <= _LARGEST:
        return None
    return _oversized()


def _oversized() -> Response:
    return problems.reply(413, f"a call has at most {_LARGEST} bytes", "send less")


async def _body(receive: Receive) -> bytes | None:
    """All of it; None once it is too large."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > _LARGEST:
            return None
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _again(raw: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Give the body that was read already; then what comes (the client's leaving)."""
    given = False

    async def next_message() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": raw, "more_body": False}
        return await receive()

    return next_message


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def _wrong(raw: bytes) -> Response | None:
    """What Python's reader takes and nothing behind it can keep, and what would overflow it."""
    if not raw.strip():
        return None
    if _depth(raw) > _DEEPEST:
        return problems.reply(422, f"JSON nested deeper than {_DEEPEST} levels", "send less")
    try:
        data = json.loads(raw.decode(), parse_constant=_refuse)
        json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        return problems.reply(422, f"this is not JSON: {str(error)[:200]}", "send a JSON document")
    if b"\\u0000" in raw and _has_null(data):
        return problems.reply(422, "a text has a zero character in it", "leave it out")
    return None


def _depth(raw: bytes) -> int:
    depth = deepest = 0
    if raw.count(b"[") + raw.count(b"{") <= _DEEPEST:
        return 0
    for char in _STRING.sub(b"", raw):
        if char in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in b"]}":
            depth -= 1
    return deepest


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _has_null(data: Any) -> bool:
    if isinstance(data, str):
        return "\0" in data
    if isinstance(data, dict):
        return any(_has_null(part) for pair in data.items() for part in pair)
    return isinstance(data, list) and any(_has_null(item) for item in data)
