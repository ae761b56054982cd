"""Work that is committed together: what each piece may count on, whatever happens to the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from ironwake.errors import RefusedError
from ironwake_controller.store import events
from ironwake_controller.store.events import Event
from ironwake_controller.store.store import Store
from tests.controller.appliance import Appliance


def _write(store: Store, kind: str, fails: bool = False) -> Callable[[], str]:
    def work() -> str:
        with store.write() as tx:
            events.add(tx, Event(kind))
            if fails:
                raise RefusedError(f"{kind} is refused")
        return kind

    return work


def _kinds(appliance: Appliance) -> list[str]:
    with appliance.house.store.read() as connection:
        return [line.kind for line in events.after(connection)]


def _crowd(appliance: Appliance, *works: Callable[[], str]) -> list[str | BaseException]:
    """Run them while the writer is held up by somebody else, so that they share a commit."""
    store, together = appliance.house.store, appliance.house.together

    async def run() -> list[str | BaseException]:
        held, go = threading.Event(), threading.Event()

        def hold() -> None:
            with store.write():
                held.set()
                go.wait(60)

        async def let_go() -> None:
            go.set()

        holder = asyncio.create_task(asyncio.to_thread(hold))
        await asyncio.to_thread(held.wait, 60)
        first = asyncio.create_task(together.run(lambda: "first"))
        crowd = [asyncio.create_task(together.run(work)) for work in works]
        # Tasks begin in the order in which they were made: when it does, all of them have asked.
        await asyncio.create_task(let_go())
        await holder
        await first
        return await asyncio.gather(*crowd, return_exceptions=True)

    return asyncio.run(run())


def test_a_crowd_shares_a_commit(appliance: Appliance) -> None:
    """What waits for the writer is committed at once, and each gets its own result."""
    store = appliance.house.store
    commits: list[Any] = []
    event.listen(store.engine, "commit", commits.append)
    names = [f"k{number}" for number in range(20)]
    assert _crowd(appliance, *(_write(store, name) for name in names)) == names
    assert _kinds(appliance)[-20:] == names
    # Of who held it, of the first one, and of all others.
    assert len([one for one in commits if one.get_execution_options()]) <= 3


def test_one_that_fails_undoes_its_own(appliance: Appliance) -> None:
    """The others' work stays, and its caller hears why."""
    store = appliance.house.store
    before = len(_kinds(appliance))
    a, b, c = _crowd(
        appliance, _write(store, "a"), _write(store, "b", fails=True), _write(store, "c")
    )
    assert (a, c) == ("a", "c")
    assert isinstance(b, RefusedError)
    assert _kinds(appliance)[before:] == ["a", "c"]


def test_a_commit_that_fails_is_nobodys_success(appliance: Appliance) -> None:
    """Nobody is told of a success that is not on disk."""
    store = appliance.house.store
    before = len(_kinds(appliance))

    def no_room(_connection: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("disk full"))

    event.listen(store.engine, "commit", no_room)
    with pytest.raises(OperationalError):
        asyncio.run(appliance.house.together.run(_write(store, "lost")))
    event.remove(store.engine, "commit", no_room)
    assert _kinds(appliance)[before:] == []
    assert asyncio.run(appliance.house.together.run(_write(store, "kept"))) == "kept"
    assert _kinds(appliance)[before:] == ["kept"]


def test_a_disarming_in_a_crowd_reaches_the_epoch(appliance: Appliance) -> None:
    """The copy of the boot epoch outside grows with the commit, and the view's version with it."""
    store = appliance.house.store
    version = store.version
    outside = appliance.house.store._epoch.read()

    def disarm() -> str:
        with store.write() as tx:
            tx.disarm()
        return "done"

    assert _crowd(appliance, disarm, disarm) == ["done", "done"]
    after = appliance.house.store._epoch.read()
    assert outside is not None
    assert after is not None
    assert after.number > outside.number
    assert store.version > version
