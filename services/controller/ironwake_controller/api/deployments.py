"""`/v1/deployments`: look, follow, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from ironwake.errors import InputError
from ironwake.lifecycle import State
from ironwake_controller import arming, volume_keys
from ironwake_controller.api import events as lines
from ironwake_controller.api import show
from ironwake_controller.api.deployment_shapes import (
    DeploymentPage,
    DeploymentShape,
    EventPage,
    KeysShape,
)
from ironwake_controller.house import House
from ironwake_controller.store import deployments
from ironwake_controller.store.deployments import Record


def routes(house: House) -> APIRouter:
    """The routes of this noun."""
    router = APIRouter(prefix="/v1/deployments", tags=["deployments"])

    @router.get("")
    def listing(
        machine: Annotated[str, Query(description="the machine's name")] = "",
        state: Annotated[str, Query(description="only those in this state")] = "",
        after: Annotated[str, Query(description="the `next` of the page before")] = "",
        limit: Annotated[int, Query(ge=1, le=1000, description="items on a page")] = 100,
    ) -> DeploymentPage:
        """Deployments, the newest first."""
        if state and state not in list(State):
            known = ", ".join(State)
            raise InputError(f"there is no state {state!r:.40}", f"known are: {known}", "state")
        with house.store.read() as connection:
            last = deployments.by_id(connection, after) if after else None
            if after and last is None:
                raise InputError(f"{after!r:.40} is no deployment", "give the last `next`", "after")
            number = last.number if last else 0
            found = deployments.page(
                connection, machine=machine, state=state, after=number, limit=limit + 1
            )
        items = [show.deployment(record) for record in found[:limit]]
        return DeploymentPage(items=items, next=items[-1].id if len(found) > limit else None)

    @router.get("/{deployment}")
    def get(deployment: str) -> DeploymentShape:
        """One deployment."""
        return show.deployment(_get(house, deployment))

    @router.get("/{deployment}/keys")
    def keys(deployment: str) -> KeysShape:
        """The passphrases of its encrypted volumes; its history tells that somebody asked."""
        return KeysShape(keys=volume_keys.show(house.store, house.safe, deployment))

    @router.post("/{deployment}/cancel")
    def cancel(deployment: str) -> DeploymentShape:
        """End it. What an installer has written by then stays on the disk."""
        return show.deployment(house.arming.cancel(deployment))

    @router.post("/{deployment}/end")
    def end(deployment: str) -> DeploymentShape:
        """The work on a rescue system is done: its machine restarts."""
        return show.deployment(house.arming.end(deployment))

    @router.get("/{deployment}/events", response_model=EventPage, responses=lines.STREAMED)
    def history(
        deployment: str, request: Request, after: lines.After = 0, limit: lines.Limit = 500
    ) -> Response | EventPage:
        """Its history: a page, or server-sent events until it is over."""
        record = _get(house, deployment)
        if not lines.wants_stream(request):
            return lines.page(house, after, limit, deployment=record.id)
        start = lines.resume(request, after)
        return lines.stream(house, start, deployment=record.id)

    return router


def _get(house: House, name: str) -> Record:
    with house.store.read() as connection:
        record = deployments.by_id(connection, name)
    if record is None:
        raise arming.unknown(name)
    return record
