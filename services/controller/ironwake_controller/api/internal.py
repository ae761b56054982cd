"""`/internal`: what the data plane calls, with the service token; see docs/design.md."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from ironwake import wire
from ironwake.lease import Leases
from ironwake.report import Callback, ClaimRequest, HealthReport, Observations
from ironwake_controller.house import House

_LONGEST = 60.0  # seconds that a poll may wait
_LARGEST = 2**63 - 1


def routes(house: House) -> APIRouter:
    """The internal routes."""
    router = APIRouter(prefix="/internal", tags=["internal"])

    @router.get("/view")
    async def view() -> Response:
        """The whole view as it is now."""
        raw = await asyncio.to_thread(house.views.encoded)
        return Response(raw, media_type="application/json")

    @router.get("/view/changes", responses={204: {"description": "Still the same"}})
    async def changes(
        after: Annotated[int, Query(ge=-_LARGEST, le=_LARGEST)] = -1,
        wait: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0.0,
    ) -> Response:
        """What is new in the view once it is another one than `after`."""
        store, views = house.store, house.views
        loop = asyncio.get_running_loop()
        until = loop.time() + min(wait, _LONGEST)
        while True:
            news = store.bell.listen()
            # Another one, not a greater one: after a restored backup ours may be the smaller.
            if store.version != after:
                await asyncio.sleep(views.rest())
                raw = await asyncio.to_thread(views.changes, after)
                return Response(raw, media_type="application/json")
            left = until - loop.time()
            if left <= 0 or store.bell.closed or not await store.bell.wait(news, left):
                return Response(status_code=204)

    @router.post("/claims")
    async def claim(request: Request) -> Response:
        """Hand out the answers, once."""
        asked = wire.decode(ClaimRequest, await request.body())
        # Before the transaction: to render a template takes long, and all others would wait.
        prepared = await asyncio.to_thread(house.claims.prepare, asked)
        grant = await house.together.run(partial(house.claims.claim, asked, prepared))
        return Response(wire.encode(grant), media_type="application/json")

    @router.post("/deployments/{token}/callbacks", status_code=204)
    async def callback(token: str, request: Request) -> None:
        """A machine's report; 204 once it is committed."""
        said = wire.decode(Callback, await request.body())
        await house.together.run(partial(house.callbacks.take, token, said))

    @router.post("/health/{health_token}", status_code=204)
    async def health(health_token: str, request: Request) -> None:
        """The installed system's report; 204 once it is committed."""
        said = wire.decode(HealthReport, await request.body())
        await house.together.run(partial(house.callbacks.health, health_token, said))

    @router.post("/leases", status_code=204)
    async def leases(request: Request) -> None:
        """Who has which address."""
        news = wire.decode(Leases, await request.body())
        await asyncio.to_thread(house.lease_book.take, news)

    @router.post("/observations", status_code=204)
    async def observe(request: Request) -> None:
        """What the data plane saw."""
        seen = wire.decode(Observations, await request.body())
        await house.together.run(partial(house.watch.take, seen))

    return router
