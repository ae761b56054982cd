"""What installers say by other ways than HTTP, while the controller is away."""

from __future__ import annotations

import asyncio

from ironwake.report import QUESTION, Callback, Stage
from ironwake_http.hearsay import Hearsay
from tests.http.hearing import become, told, until
from tests.http.rig import PRESEED_TOKEN, Rig, run


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


def test_a_step_is_told_once() -> None:
    """A datagram has no token, and a controller takes only so many reports of one deployment: a
    stranger who repeats a line leaves room for the machine's own end."""

    async def test(rig: Rig) -> None:
        become(rig, "debian-12")
        hearsay = Hearsay(rig.service)
        deployment = hearsay.by_token(PRESEED_TOKEN)
        assert deployment is not None
        for _again in range(1000):
            for step in ("partman-base", "pkgsel"):
                hearsay.say(deployment, Callback(Stage.INSTALLING, step=step))
        hearsay.say(deployment, Callback(Stage.INSTALLED))
        task = asyncio.ensure_future(hearsay.run())
        try:
            await until(lambda: any(one.stage is Stage.INSTALLED for one in told(rig)))
        finally:
            task.cancel()
        assert [one.step for one in told(rig)] == ["partman-base", "pkgsel", ""]

    run(test)
