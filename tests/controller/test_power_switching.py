"""Switching a machine because a person asked for it."""

from __future__ import annotations

import pytest

from ironwake.errors import BrokenError, IronwakeError
from ironwake_controller.power.driver import Operation, Outcome
from ironwake_controller.power.job import Job
from tests.controller.appliance import Appliance
from tests.controller.equipped import CANARY, POWER, Hands, lines


@pytest.mark.parametrize("operation", ["on", "off", "cycle", "boot-network"])
def test_operations_reach_the_driver_and_the_history(
    equipped: Appliance, hands: Hands, operation: str
) -> None:
    """One job each, with the secret in it; the line of history has none."""
    done = equipped.good("POST", f"{POWER}/{operation}")
    assert (done["driver"], done["message"], done["state"]) == ("redfish", "done", "off")
    (job,) = hands.jobs
    assert (job.operation, job.settings["password"]) == (Operation(operation), CANARY)
    assert lines(equipped)[-1] == f"{operation}: done"


def test_status_is_no_event(equipped: Appliance, hands: Hands) -> None:
    """Who looks every minute does not fill the history."""
    before = len(equipped.history())
    assert equipped.good("GET", f"{POWER}/status")["state"] == "off"
    assert equipped.call("POST", f"{POWER}/status").status_code == 422
    assert len(equipped.history()) == before


def test_what_a_driver_cannot_is_refused_with_what_it_can(appliance: Appliance) -> None:
    """A clear error with the next step, before anything is asked."""
    appliance.enrol()
    reply = appliance.call("POST", f"{POWER}/off")
    assert reply.status_code == 409
    assert "wol, which can't do off" in reply.json()["detail"]
    assert "it can: on" in reply.json()["next_step"]


def test_a_failure_is_told_to_the_caller_and_to_the_history(
    equipped: Appliance, hands: Hands
) -> None:
    """With its cause and its next step."""

    def fail(job: Job) -> Outcome:
        raise BrokenError("the BMC at 10.0.0.7 does not answer", "see its cable")

    hands.answer = fail
    reply = equipped.call("POST", f"{POWER}/on")
    assert reply.status_code == 503
    assert reply.json()["next_step"] == "see its cable"
    assert lines(equipped)[-1] == "on: the BMC at 10.0.0.7 does not answer; see its cable"


def test_errors_of_unknown_kinds_are_still_ours(equipped: Appliance, hands: Hands) -> None:
    """Whatever goes wrong in between, the caller reads a problem."""

    def fail(job: Job) -> Outcome:
        raise IronwakeError("odd")

    hands.answer = fail
    reply = equipped.call("POST", f"{POWER}/on")
    assert reply.headers["content-type"] == "application/problem+json"
