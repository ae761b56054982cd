"""All routes of the LAN side. One that is not in this table does not exist."""

from __future__ import annotations

from aiohttp import web

from ironwake import routes
from ironwake_http import artifacts, payload, reports, scripts, uploads
from ironwake_http.replies import text
from ironwake_http.routing import Access, Route
from ironwake_http.service import Call, Service, Table

_READ = ("GET", "HEAD")
_PUT = (*_READ, "PUT")
_TELL = ("POST", "PUT")  # PUT: some installers' tools know nothing else


async def alive(service: Service, call: Call) -> web.StreamResponse:  # noqa: ARG001 (a handler)
    """`/healthz`: for a container's health check."""
    return text("ok\n")


ROUTES: Table = (
    Route("/boot/{mac}/{script}", _READ, Access.MACHINE, scripts.machine),
    Route("/" + routes.GRUB_CONFIG, _READ, Access.ANYONE, scripts.common),
    Route("/sb/{file*}", _READ, Access.ANYONE, artifacts.Loaders("sb/")),
    Route("/ipxe/{file*}", _READ, Access.ANYONE, artifacts.Loaders("ipxe/")),
    Route("/artifacts/{sha256}/{file}", _READ, Access.ANYONE, artifacts.ByHash()),
    Route("/media/{sha256}/{path*}", _READ, Access.ANYONE, artifacts.Inside()),
    Route(routes.order("", "{token}"), _READ, Access.TOKEN, payload.order),
    Route(routes.answers("", "{token}", "{file}"), _READ, Access.TOKEN, payload.answers),
    Route(routes.callbacks("", "{token}"), _TELL, Access.TOKEN, reports.callback),
    Route(routes.reports("", "{token}"), _TELL, Access.TOKEN, reports.report),
    Route(routes.capture("", "{token}") + "/{part}", _PUT, Access.TOKEN, uploads.capture),
    Route(routes.health("", "{token}"), _TELL, Access.TOKEN, reports.health),
    Route("/healthz", _READ, Access.ANYONE, alive),
)
