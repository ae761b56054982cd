"""What all handlers share, and the fence around them: whatever comes in, a short reply goes out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog
from aiohttp import web

from ironwake.errors import IronwakeError
from ironwake.report import Callback, ClaimRequest, Grant, HealthReport
from ironwake.view import Index
from ironwake_http import routing
from ironwake_http.captures import Captures
from ironwake_http.connection import let_go_soon
from ironwake_http.hold import Patience
from ironwake_http.limits import Limits
from ironwake_http.replies import NOTHING, closes, refusal
from ironwake_http.stock import Stock
from ironwake_http.trees import Trees
from ironwake_http.witness import Witness
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.shortage import ShortageError

_RETRY = {"Retry-After": "5"}


class Controller(Protocol):
    """What of `ironwake_runtime.controller.ControllerClient` is used here."""

    async def claim(self, request: ClaimRequest) -> Grant: ...

    async def callback(self, token: str, callback: Callback) -> None: ...

    async def health(self, health_token: str, report: HealthReport) -> None: ...


@dataclass
class Service:
    """The parts; `stock` is None until the controller was reached once."""

    controller: Controller
    store: ArtifactStore
    captures: Captures
    witness: Witness
    log: structlog.stdlib.BoundLogger
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)
    stock: Stock | None = None
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    paths: dict[str, Path] = field(default_factory=dict)  # of this view's hashes, once looked up
    trees: Trees = field(init=False)

    def __post_init__(self) -> None:
        self.trees = Trees(self.store)

    def take(self, index: Index) -> None:
        """Answer from this view from now on."""
        self.stock, self.paths = Stock(index), {}

    def tell(self, what: Callable[..., None], *about: object) -> None:
        """Have the loop call this, from any thread; at the very end nobody listens any more."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(what, *about)

    @property
    def index(self) -> Index | None:
        return self.stock.index if self.stock else None


@dataclass(frozen=True)
class Call:
    """One request, with the named parts of its path and its query, still encoded."""

    request: web.BaseRequest
    parts: Mapping[str, str]
    query: str

    @property
    def client(self) -> str:
        """The client's address; no header can change it."""
        return self.request.remote or ""

    @property
    def head(self) -> bool:
        return self.request.method == "HEAD"

    def gone(self) -> bool:
        """Whether the client has closed the connection."""
        transport = self.request.transport
        return transport is None or transport.is_closing()


Handler = Callable[[Service, Call], Awaitable[web.StreamResponse]]
Table = tuple[routing.Route[Handler], ...]


class Dispatcher:
    """`handle` is aiohttp's handler."""

    def __init__(self, service: Service, table: Table) -> None:
        self._service = service
        self._table = table

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Reply to any request; no IronwakeError gets past here."""
        try:
            reply = await self._reply(request)
        except IronwakeError as error:
            # Missing files are nothing to talk about: shim and GRUB ask for a dozen at every boot.
            # A shortage is said once, by the loop's handler.
            is_quiet = error.status == 404 or isinstance(error, ShortageError)
            tell = self._service.log.debug if is_quiet else self._service.log.info
            tell("refused", client=request.remote, status=error.status, error=error.what)
            more = _RETRY if error.status == 503 else None
            reply = refusal(error.status, str(error), more)
        if reply.prepared:
            return reply
        if closes(agent(request)):
            if request.transport is not None:
                let_go_soon(request.transport, self._service.limits.grub_script_stall)
            reply.force_close()
        elif reply.status == 413:
            reply.force_close()
        return reply

    async def _reply(self, request: web.BaseRequest) -> web.StreamResponse:
        parts, query = routing.split(request.raw_path)
        found = routing.find(self._table, parts)
        if found is None:
            return refusal(404, NOTHING)
        route, named = found
        if request.method not in route.methods:
            allowed = {"Allow": ", ".join(route.methods)}
            return refusal(405, "this cannot be done here", allowed)
        return await route.handler(self._service, Call(request, named, query))


def agent(request: web.BaseRequest) -> str:
    return request.headers.get("User-Agent", "")
