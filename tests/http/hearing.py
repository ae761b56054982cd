"""A service that hears what installers say by other ways than HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable

from ironwake.lifecycle import State
from ironwake.release import find
from ironwake.report import Callback
from ironwake.view import Index
from ironwake_http.hearsay import Hearsay
from tests.http.rig import PRESEED_TOKEN, Rig, view_of


def become(rig: Rig, release: str, state: State = State.INSTALLING) -> None:
    """The machine by method script is installed with this release, and has come so far."""
    view = view_of(rig.shelf)
    entries = []
    for entry in view.entries:
        deployment = entry.deployment
        if deployment and deployment.token == PRESEED_TOKEN:
            deployment = dataclasses.replace(deployment, release=find(release), state=state)
            entry = dataclasses.replace(entry, deployment=deployment)
        entries.append(entry)
    rig.service.take(Index(dataclasses.replace(view, entries=tuple(entries))))


@contextlib.asynccontextmanager
async def telling(rig: Rig) -> AsyncIterator[Hearsay]:
    """Hearsay that is told on until the block ends."""
    hearsay = Hearsay(rig.service)
    task = asyncio.ensure_future(hearsay.run())
    try:
        yield hearsay
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def told(rig: Rig) -> list[Callback]:
    """What the controller has heard of that machine."""
    return [callback for token, callback in rig.controller.callbacks if token == PRESEED_TOKEN]


async def until(true: Callable[[], bool]) -> None:
    """Let the loop turn until it is so."""
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0)
