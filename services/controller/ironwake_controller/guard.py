"""Before any route: who may call it, how large a call may be. ASGI, so that nothing slips past.

Every path is denied unless a row of `DOORS` opens it: a new route without a row answers nobody.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ironwake.errors import InputError
from ironwake_controller import bodies, problems
from ironwake_controller.metrics import Metrics
from ironwake_controller.tokens import Role, Tokens
from ironwake_runtime.settings import Settings

_OPEN: frozenset[Role] = frozenset()
_FIELDS = 100  # of a head; browsers send some twenty

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
        self,
        app: ASGIApp,
        tokens: Tokens,
        hosts: frozenset[str],
        metrics: Metrics,
        slowest: float,
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._hosts = hosts
        self._metrics = metrics
        self._slowest = slowest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = {key.lower(): value for key, value in scope["headers"]}
        denied = self._denied(scope, headers)
        if denied is not None:
            self._metrics.denied.labels(str(denied.status_code)).inc()
            await denied(scope, receive, send)
            return
        raw = b""
        if door(scope["path"]):  # those who need no token have nothing to tell us
            try:
                raw = await bodies.read(receive, self._slowest)
            except bodies.GoneAwayError:
                return  # half of a call is none: what came of it is not carried out
            except InputError as error:
                await _refuse(error)(scope, receive, send)
                return
        await self._app(_as_json(scope), _again(raw, receive), send)

    def _denied(self, scope: Scope, headers: dict[bytes, bytes]) -> Response | None:
        ambiguous = _ambiguous(scope, headers)
        if ambiguous is not None:
            return ambiguous
        path = scope["path"]
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


def _ambiguous(scope: Scope, headers: dict[bytes, bytes]) -> Response | None:
    """Calls that somebody on the way may have read otherwise than we do."""
    if b"transfer-encoding" in headers and b"content-length" in headers:  # RFC 9112 section 6.1
        what = "this call states its length twice"
        close = {"connection": "close"}
        return problems.reply(400, what, "send no Transfer-Encoding", headers=close)
    if "\0" in scope["path"] or b"%00" in scope["query_string"]:
        return problems.reply(400, "there is a zero character in the address", "leave it out")
    if len(scope["headers"]) > _FIELDS:
        return problems.reply(431, f"a call has at most {_FIELDS} header fields", "send fewer")
    return None


def _too_long(headers: dict[bytes, bytes]) -> Response | None:
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length[:20]) <= bodies.LARGEST:
        return None
    return _refuse(bodies.oversized())


def _refuse(error: InputError) -> Response:
    return problems.reply(error.status, error.what, error.next_step)


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
