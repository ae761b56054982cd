"""Reports: in order, each counted once, until they are heard."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import BrokenError
from ironwake.report import Callback, Stage
from ironwake.wire import decode
from ironwake_agent import client
from ironwake_agent.client import Answer, UnreachableError
from ironwake_agent.report import CancelledError, Outbox, Reporter
from ironwake_agent.steps import Percent, Step
from tests.agent.rig import appliance, reply

LONG = 30.0


class Ear:
    """Hears callbacks; `answers` are for the next ones, then 204. `gate` holds answers back."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.heard: list[Callback] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, body: bytes) -> Answer:
        self.heard.append(decode(Callback, body))
        assert self.gate.wait(LONG)
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer, b'{"detail": "said so"}')

    @property
    def stages(self) -> list[str]:
        return [callback.stage.value for callback in self.heard]


def reporter(post: Callable[[bytes], Answer], spacing: float = 100.0) -> Reporter:
    ids = itertools.count(1)
    times = itertools.count(0.0, spacing)
    return Reporter(post, (0.0,), lambda: f"id{next(ids)}", lambda: next(times))


def test_reports_come_in_order_with_ids_of_their_own() -> None:
    """What was said first is heard first; each report has its own id."""
    ear = Ear()
    reports = reporter(ear)
    reports.facts({"cpu": "x"})
    reports.step(Step.PARTITIONING)
    reports.step(Step.FORMATTING)
    reports.log("lines")
    reports.installed()
    reports.flush(LONG)
    assert ear.stages == ["facts", "installing", "installing", "log", "installed"]
    assert len({callback.id for callback in ear.heard}) == 5


@pytest.mark.parametrize("trouble", [UnreachableError("no answer"), 500, 503, 429])
def test_an_unheard_report_is_repeated_under_the_same_id(trouble: int | Exception) -> None:
    """A lost reply costs nothing: the appliance counts each id once."""
    ear = Ear(trouble, trouble)
    reports = reporter(ear)
    reports.installed()
    reports.flush(LONG)
    assert [callback.id for callback in ear.heard] == ["id1"] * 3


@pytest.mark.parametrize("status", [404, 410])
def test_an_ended_deployment_stops_the_work(status: int) -> None:
    """After 404 or 410 the next look before a write raises, with the appliance's words."""
    reports = reporter(Ear(status))
    reports.step(Step.PARTITIONING)
    with pytest.raises(CancelledError, match="said so"):
        reports.flush(LONG)
    with pytest.raises(CancelledError):
        reports.check()


def test_facts_are_nobodys_verdict() -> None:
    """Facts that the appliance does not want do not cancel: the order's answer decides."""
    reports = reporter(Ear(404))
    reports.facts({})
    with pytest.raises(BrokenError):
        reports.flush(LONG)
    reports.check()


def test_a_refused_last_word_is_an_error() -> None:
    """INSTALLED out of turn must not look like success."""
    reports = reporter(Ear(409))
    reports.installed()
    with pytest.raises(BrokenError, match="said so"):
        reports.flush(LONG)


def test_a_refused_percent_is_forgotten() -> None:
    """What counts is the answer to the last report."""
    reports = reporter(Ear(409))
    reports.step(Step.UNPACKING)
    reports.installed()
    reports.flush(LONG)


def test_percents_do_not_pile_up_while_nobody_hears() -> None:
    """Of one step only the newest percent waits, and nothing of other stages is lost."""
    ear = Ear()
    ear.gate.clear()
    reports = reporter(ear)
    reports.step(Step.PARTITIONING)
    for fraction in (0.1, 0.2, 0.9):
        reports.step(Step.UNPACKING, fraction)
    reports.failed("x")
    ear.gate.set()
    reports.flush(LONG)
    steps = [callback.step for callback in ear.heard]
    assert steps.count("unpacking") == 1
    assert ear.stages[-1] == "failed"


def test_one_step_reports_once_a_second() -> None:
    """Percents within a second are not sent, a new step at once."""
    ear = Ear()
    reports = reporter(ear, spacing=0.3)
    for fraction in range(9):
        reports.step(Step.UNPACKING, fraction / 10)
        reports.flush(LONG)
    reports.step(Step.CONFIGURING)
    reports.flush(LONG)
    assert [callback.step for callback in ear.heard] == ["unpacking"] * 3 + ["configuring"]


def test_silence_ends_the_wait() -> None:
    """An appliance that never answers leaves an error, not a hanging machine."""
    ear = Ear()
    ear.gate.clear()
    reports = reporter(ear)
    reports.installed()
    with pytest.raises(BrokenError, match="did not take this machine's report within 0 s"):
        reports.flush(0)
    ear.gate.set()
    reports.flush(LONG)


def test_reports_over_the_wire() -> None:
    """The real client posts the contract's JSON and understands problem+json."""
    bodies = []

    def handle(request, body):  # type: ignore[no-untyped-def]
        bodies.append(json.loads(body))
        reply(request, 410, b'{"title": "gone", "detail": "cancelled", "next_step": "look"}')

    with appliance(handle) as url:
        reports = reporter(lambda body: client.request("POST", f"{url}/callbacks", body))
        reports.failed("disk full")
        with pytest.raises(CancelledError, match=r"cancelled; look \(HTTP 410\)"):
            reports.flush(LONG)
    assert bodies[0]["stage"] == "failed"
    assert bodies[0]["message"] == "disk full"


def test_an_unreachable_appliance_is_told_as_such() -> None:
    """No listener: UnreachableError with the address, whatever the socket said."""
    with appliance(lambda _, __: None) as url:
        pass
    with pytest.raises(UnreachableError, match=url.removeprefix("http://")):
        client.request("GET", f"{url}/x")


@given(st.lists(st.tuples(st.sampled_from(Step), st.floats(allow_nan=False))))
def test_percent_never_goes_back(calls: list[tuple[Step, float]]) -> None:
    """Whatever a step says, the whole's percent stays within 0 to 99 and never falls."""
    percent = Percent()
    values = [percent.at(step, fraction) for step, fraction in calls]
    assert values == sorted(values)
    assert all(0 <= value <= 99 for value in values)


@given(st.lists(st.tuples(st.sampled_from(Stage), st.sampled_from(["a", "b"]), st.booleans())))
def test_the_outbox_loses_only_overtaken_percents(
    script: list[tuple[Stage, str, bool]],
) -> None:
    """All that is no percent comes out, in order; of percents in a row, the last one."""
    outbox, sent, given_in = Outbox(), list[Callback](), list[Callback]()
    for number, (stage, step, send) in enumerate(script):
        callback = Callback(stage, str(number), step)
        given_in.append(callback)
        outbox.add(callback)
        if send and (taken := outbox.take()):
            assert outbox.take() is taken  # until done
            sent.append(taken)
            outbox.done()
    while taken := outbox.take():
        sent.append(taken)
        outbox.done()
    assert outbox.is_empty
    percents = (Stage.INSTALLING, Stage.WORKING)
    lasting = [callback for callback in given_in if callback.stage not in percents]
    assert [callback for callback in sent if callback.stage not in percents] == lasting
    assert [int(callback.id) for callback in sent] == sorted(int(item.id) for item in sent)
    assert sent[-1:] == given_in[-1:]


def test_a_step_that_goes_on_is_said_to() -> None:
    """With the step and the percent that it had; before the first step there is nothing to say."""
    ear = Ear()
    reports = reporter(ear)
    reports.alive("too early")
    reports.step(Step.CONFIGURING, message="packages")
    reports.flush(LONG)
    reports.alive("apt-get still runs")
    reports.flush(LONG)
    first, second = ear.heard
    assert (second.step, second.percent) == (first.step, first.percent)
    assert (second.message, second.id != first.id) == ("apt-get still runs", True)
