"""What installers say by other ways than HTTP: in a controller's absence, and without a token."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.report import QUESTION, Callback, Stage
from ironwake_http.hearsay import Hearsay
from tests.http.hearing import become, telling, told, until
from tests.http.rig import PRESEED, PRESEED_TOKEN, STRANGER, Rig, run


def test_logs_are_left_out_first() -> None:
    """Whatever comes in the meantime, the end of an installation and its question are told."""

    async def test(rig: Rig) -> None:
        become(rig, "debian-12")
        hearsay = Hearsay(rig.service)
        deployment = hearsay.by_token(PRESEED_TOKEN)
        assert deployment is not None
        hearsay.say(deployment, Callback(Stage.LOG, step=QUESTION, message="which disk"))
        hearsay.say(deployment, Callback(Stage.INSTALLING, step="partition"))
        for number in range(2000):
            hearsay.say(deployment, Callback(Stage.LOG, step="log", message=str(number)))
        hearsay.say(deployment, Callback(Stage.FAILED, step="partition"))
        task = asyncio.ensure_future(hearsay.run())
        try:
            await until(lambda: any(one.stage is Stage.FAILED for one in told(rig)))
        finally:
            task.cancel()
        question, begun, *logs, failed = told(rig)
        assert (question.message, begun.step) == ("which disk", "partition")
        assert failed.stage is Stage.FAILED
        assert [one.message for one in logs] == [str(n) for n in range(2000 - len(logs), 2000)]
        assert len(told(rig)) == 512

    run(test)


@contextlib.asynccontextmanager
async def overhearing(rig: Rig) -> AsyncIterator[Callable[[Callback], None]]:
    """What tells a line without a token, of the machine by method script."""
    async with telling(rig) as hearsay:
        deployment = hearsay.by_token(PRESEED_TOKEN)
        assert deployment is not None
        yield lambda callback: hearsay.overhear(deployment, callback)
        hearsay.say(deployment, Callback(Stage.INSTALLED))
        await until(lambda: any(one.stage is Stage.INSTALLED for one in told(rig)))


def test_a_step_is_overheard_once() -> None:
    """A datagram has no token, and a controller takes only so many reports of one deployment: a
    stranger who repeats a line leaves room for the machine's own end."""

    async def test(rig: Rig) -> None:
        become(rig, "debian-12")
        async with overhearing(rig) as overhear:
            for _again in range(1000):
                for step in ("partman-base", "pkgsel"):
                    overhear(Callback(Stage.INSTALLING, step=step))
        assert [one.step for one in told(rig)] == ["partman-base", "pkgsel", ""]

    run(test)


@pytest.mark.parametrize("state", [State.ARMED, State.KERNEL, State.ANSWERS])
def test_nothing_that_is_overheard_begins_an_installation(state: State) -> None:
    """The first report closes the claim: a forged one would shut the machine itself out. And what
    came too early, of whomever, is told when its time has come."""

    async def test(rig: Rig) -> None:
        become(rig, "debian-12", state)
        async with overhearing(rig) as overhear:
            overhear(Callback(Stage.INSTALLING, step="pkgsel"))
            become(rig, "debian-12", State.INSTALLING)
            overhear(Callback(Stage.INSTALLING, step="partman-base"))
            overhear(Callback(Stage.INSTALLING, step="pkgsel"))
        assert [one.step for one in told(rig)] == ["partman-base", "pkgsel", ""]

    run(test)


def test_nothing_but_steps_and_logs_is_overheard() -> None:
    """An end takes a token."""

    async def test(rig: Rig) -> None:
        become(rig, "debian-12")
        async with overhearing(rig) as overhear:
            for stage in set(Stage) - {Stage.INSTALLING, Stage.LOG}:
                overhear(Callback(stage))
        assert [one.stage for one in told(rig)] == [Stage.INSTALLED]

    run(test)


def test_a_log_without_an_end_leaves_room_for_the_machines_own() -> None:
    """The controller takes 10,000 reports: half of them may be a log's, and its last says so."""

    async def test(rig: Rig) -> None:
        become(rig, "debian-12")
        async with overhearing(rig) as overhear:
            for number in range(6000):
                overhear(Callback(Stage.LOG, step="log", message=str(number)))
                await asyncio.sleep(0)
        *_, before, last, installed = told(rig)
        assert len(told(rig)) == 5001
        assert before.message == "4998"
        assert last.message == "4999\n… no more is taken of this log"
        assert installed.stage is Stage.INSTALLED

    run(test)


@pytest.mark.parametrize(("card", "heard"), [(None, True), (PRESEED, True), (STRANGER, False)])
def test_another_card_with_the_machines_address_is_a_stranger(
    card: Mac | None, heard: bool
) -> None:
    """What was known of the address counts only where no card is seen, behind a router."""

    async def test(rig: Rig) -> None:
        become(rig, "debian-12")
        rig.service.witness.script(rig.service.index, "192.0.2.7", PRESEED, {})
        assert (Hearsay(rig.service).speaker("192.0.2.7") is not None) is heard

    run(test, neighbour=lambda _: card)
