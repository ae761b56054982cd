"""Machines with a BMC, and who stands for the child processes that speak to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ironwake_controller.power.driver import Outcome, PowerState
from ironwake_controller.power.job import Job
from tests.controller.appliance import Appliance

CANARY = "canary-0a1b2c&d e"
BMC = {"driver": "redfish", "settings": {"address": "10.0.0.7", "user": "me", "password": CANARY}}
POWER = "/v1/machines/node1/power"


def _done(_job: Job) -> Outcome:
    return Outcome("done", PowerState.OFF)


@dataclass
class Hands:
    """Stands for the child processes. `answer` gives what comes of a job, or raises."""

    answer: Callable[[Job], Outcome] = _done
    jobs: list[Job] = field(default_factory=list)

    def carry_out(self, job: Job) -> Outcome:
        self.jobs.append(job)
        return self.answer(job)

    def close(self) -> None:
        """Nothing runs on."""


def lines(appliance: Appliance) -> list[str]:
    """What the history says of power."""
    return [event.message for event in appliance.history() if event.kind == "power"]


def settle(appliance: Appliance) -> None:
    """Until what was begun for deployments is written down."""
    appliance.house.switchboard.close()
