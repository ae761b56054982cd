"""The application: routes, errors, and the guard around all of it."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import FastAPI
from starlette.types import ASGIApp

from ironwake_controller import guard, problems
from ironwake_controller.api import (
    deployments,
    description,
    events,
    images,
    internal,
    leases,
    machines,
    plan,
    plan_answer,
    plan_disks,
    power,
    profiles,
    site,
)
from ironwake_controller.guard import Guard
from ironwake_controller.house import House
from ironwake_controller.limits import Limits
from ironwake_controller.tokens import Tokens

# Routes are looked through in this order: what machines cause by the hundred comes first.
NOUNS = (
    internal,
    machines,
    leases,
    power,
    deployments,
    events,
    profiles,
    images,
    plan,
    plan_answer,
    plan_disks,
    site,
)


def routes(house: House) -> FastAPI:
    """All routes, without the guard: for OpenAPI, and for enumerating them."""
    app = FastAPI(
        title="Ironwake",
        version=site.version(),
        description="Enrol machines, deploy them, follow them. Errors are problem+json.",
        # The interactive pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    for noun in NOUNS:
        app.include_router(noun.routes(house))
    problems.install(app, house.log)
    description.install(app)
    return app


def build(house: House, tokens: Tokens, limits: Limits | None = None) -> ASGIApp:
    """What is served."""
    names, slowest = guard.hosts(house.settings), (limits or Limits()).body
    return Guard(routes(house), tokens, names, house.metrics, slowest)


def every_route(application: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and path template of each route that the application has."""
    for path, methods in application.openapi()["paths"].items():
        for method in methods:
            yield method.upper(), path
