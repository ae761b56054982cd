"""`/v1/events`: the history of all machines, as pages and as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from ironwake.lifecycle import ENDS
from ironwake_controller.api import show
from ironwake_controller.api.deployment_shapes import EventPage
from ironwake_controller.house import House
from ironwake_controller.store import deployments, events
from ironwake_controller.store.events import Event

_LARGEST = 2**63 - 1
_BATCH = 500
# A comment at least this often (seconds), so that a silent line is known to be a dead one.
_HEARTBEAT = 15.0
MEDIA_TYPE = "text/event-stream"

After = Annotated[int, Query(ge=0, le=_LARGEST, description="only events after this `seq`")]
Limit = Annotated[int, Query(ge=1, le=1000, description="items on a page")]
STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {MEDIA_TYPE: {"example": 'id: 17\nevent: offered\ndata: {"seq": 17, …}\n\n'}},
        "description": "A page; with `Accept: text/event-stream` a stream, resumed by "
        "`Last-Event-ID`",
    }
}


def routes(house: House) -> APIRouter:
    """The routes of this noun."""
    router = APIRouter(prefix="/v1/events", tags=["events"])

    @router.get("", response_model=EventPage, responses=STREAMED)
    def history(
        request: Request,
        machine: Annotated[str, Query(description="the machine's name")] = "",
        after: After = 0,
        limit: Limit = 500,
    ) -> Response | EventPage:
        """What happened, oldest first; as server-sent events, also what happens from now on."""
        if wants_stream(request):
            return stream(house, resume(request, after), machine=machine)
        return page(house, after, limit, machine=machine)

    return router


def wants_stream(request: Request) -> bool:
    return MEDIA_TYPE in request.headers.get("accept", "")


def resume(request: Request, after: int) -> int:
    """Where a broken stream goes on (WHATWG HTML §9.2.4); a header that is no number is ignored."""
    last = request.headers.get("last-event-id", "")
    return min(int(last[:19]), _LARGEST) if last.isascii() and last.isdigit() else after


def page(
    house: House, after: int, limit: int, *, deployment: str = "", machine: str = ""
) -> EventPage:
    with house.store.read() as connection:
        found = events.after(
            connection, after, deployment=deployment, machine=machine, limit=limit + 1
        )
    items = [show.event(line) for line in found[:limit]]
    return EventPage(items=items, next=str(items[-1].seq) if len(found) > limit else None)


def stream(house: House, after: int, *, deployment: str = "", machine: str = "") -> Response:
    """Events as they come; of one deployment, until it is over."""
    body = _events(house, after, deployment, machine)
    return StreamingResponse(body, media_type=MEDIA_TYPE, headers={"cache-control": "no-store"})


async def _events(house: House, after: int, deployment: str, machine: str) -> AsyncIterator[str]:
    bell = house.store.bell
    yield ": following\n\n"
    while True:
        news = bell.listen()
        lines, over = await asyncio.to_thread(_look, house, after, deployment, machine)
        for line in lines:
            after = line.seq
            document = show.event(line).model_dump_json()
            yield f"id: {line.seq}\nevent: {line.kind}\ndata: {document}\n\n"
        if len(lines) == _BATCH:
            continue
        if over or bell.closed:
            return
        if not await bell.wait(news, _HEARTBEAT):
            yield ": still here\n\n"


def _look(
    house: House, after: int, deployment: str, machine: str
) -> tuple[tuple[Event, ...], bool]:
    """What is new, and whether nothing more will come: both of the same moment."""
    with house.store.read() as connection:
        found = events.after(
            connection, after, deployment=deployment, machine=machine, limit=_BATCH
        )
        record = deployments.by_id(connection, deployment) if deployment else None
    return found, record is not None and record.state in ENDS
