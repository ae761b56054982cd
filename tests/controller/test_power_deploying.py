"""Switching a machine because a deployment was armed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ironwake.errors import BrokenError
from ironwake.report import Seen
from ironwake_controller.power.driver import Driver, Operation, Outcome, PowerState, Target
from ironwake_controller.power.job import Job
from ironwake_controller.power.start import start
from tests.controller.appliance import Appliance, Opened
from tests.controller.equipped import BMC, POWER, Hands, lines, settle


def test_arming_starts_the_machine_by_its_driver(equipped: Appliance, hands: Hands) -> None:
    """Not by Wake-on-LAN; nothing that runs is restarted."""
    made = equipped.deploy()
    settle(equipped)
    (job,) = hands.jobs
    assert (job.operation, job.cycle) == (None, False)
    equipped.house.wake_loop.wake()
    assert equipped.power.woken == []
    (line,) = [event for event in equipped.history() if event.kind == "power"][1:]
    assert (line.deployment, line.message) == (made["id"], "done")


def test_a_restart_must_be_asked_for(equipped: Appliance, hands: Hands) -> None:
    """`cycle` goes to the driver; one that can't is refused before anything is armed."""
    equipped.deploy(cycle=True)
    settle(equipped)
    assert hands.jobs[-1].cycle
    equipped.good("POST", "/v1/machines", {"name": "node2", "macs": ["52:54:00:77:00:20"]})
    body = {"profile": "web", "cycle": True}
    reply = equipped.call("POST", "/v1/machines/node2/deploy", body)
    assert reply.status_code == 409
    assert "can't do cycle" in reply.json()["detail"]
    assert equipped.state("node2") == "enrolled"


def test_nothing_is_switched_without_a_wish(equipped: Appliance, hands: Hands) -> None:
    """`--no-wake` means that a person does it."""
    equipped.deploy(wake=False)
    settle(equipped)
    assert hands.jobs == []


@pytest.mark.parametrize("error", [BrokenError("no answer", "see its cable"), ValueError("odd")])
def test_a_driver_that_fails_ends_no_deployment(
    equipped: Appliance, hands: Hands, error: Exception
) -> None:
    """A person can press the button: the machine boots as if nothing had been."""

    def fail(job: Job) -> Outcome:
        raise error

    hands.answer = fail
    equipped.deploy()
    settle(equipped)
    assert "it is not switched on" in lines(equipped)[-1]
    equipped.see(Seen.OFFERED, file="x")
    assert equipped.state() == "offered"


def test_what_is_under_way_is_not_started_again(
    opened: Opened, tmp_path: Path, hands: Hands
) -> None:
    """After a controller's restart an awaited machine is started, never one that was seen."""
    first = opened(tmp_path, hands=hands)
    first.enrol()
    first.good("PUT", POWER, BMC)
    first.deploy(cycle=True)
    first.close()
    second = opened(tmp_path, hands=hands)
    settle(second)
    assert [job.cycle for job in hands.jobs] == [True, False]
    second.see(Seen.OFFERED, file="x")
    second.close()
    third = opened(tmp_path, hands=hands)
    settle(third)
    assert len(hands.jobs) == 2


def test_none_says_switch_it_on(appliance: Appliance) -> None:
    """Nothing is sent; who watches reads what to do."""
    appliance.enrol()
    appliance.good("PUT", POWER, {"driver": "none"})
    made = appliance.deploy()
    appliance.house.wake_loop.wake()
    assert appliance.power.woken == []
    (line,) = [event for event in appliance.history() if event.deployment and event.kind == "power"]
    assert (line.deployment, line.message) == (made["id"], "switch it on: nothing here can do that")


def test_slow_bmcs_hold_nobody_up(opened: Opened, tmp_path: Path) -> None:
    """While every BMC hangs, arming, looking and Wake-on-LAN go on; few are waited for at once."""
    release, at_work = threading.Event(), threading.Semaphore(0)

    def hang(job: Job) -> Outcome:
        at_work.release()
        assert release.wait(120)
        return Outcome("done")

    hands = Hands(hang)
    appliance = opened(tmp_path, hands=hands)
    for number in range(12):
        name = f"node{number}"
        appliance.enrol(name, f"52:54:00:77:01:{number:02x}")
        appliance.good("PUT", f"/v1/machines/{name}/power", BMC)
        assert appliance.deploy(name)["state"] == "armed"
    for _ in range(4):
        assert at_work.acquire(timeout=60)
    appliance.enrol("node99", "52:54:00:77:02:00")
    appliance.deploy("node99")
    appliance.house.wake_loop.wake()
    assert appliance.power.woken == ["52:54:00:77:02:00"]
    assert len(hands.jobs) == 4
    release.set()
    settle(appliance)
    assert 4 <= len(hands.jobs) <= 12


@dataclass
class Board:
    """A driver that remembers what it was told."""

    able: frozenset[Operation]
    state: PowerState = PowerState.OFF
    broken: frozenset[Operation] = frozenset()
    told: list[Operation] = field(default_factory=list)
    name: str = "board"
    settings: type[Any] = object
    secrets: frozenset[str] = frozenset()
    remote: bool = True

    def can(self, _settings: Any, /) -> frozenset[Operation]:
        return self.able

    def carry_out(self, operation: Operation, _settings: Any, _target: Target, /) -> Outcome:
        assert operation in self.able
        self.told.append(operation)
        if operation in self.broken:
            raise BrokenError(f"no {operation}")
        return Outcome(f"did {operation}", self.state)


ALL = frozenset(Operation)
ON, CYCLE, STATUS, NET = (
    Operation.ON,
    Operation.CYCLE,
    Operation.STATUS,
    Operation.BOOT_NETWORK,
)


@pytest.mark.parametrize(
    ("board", "cycle", "told"),
    [
        (Board(ALL), False, [NET, STATUS, ON]),
        (Board(ALL, PowerState.ON), False, [NET, STATUS]),
        (Board(ALL, PowerState.ON), True, [NET, STATUS, CYCLE]),
        (Board(ALL, PowerState.UNKNOWN), False, [NET, STATUS, ON]),
        (Board(ALL, broken=frozenset({NET})), False, [NET, STATUS, ON]),
        (Board(frozenset({ON})), False, [ON]),
        (Board(frozenset({ON, CYCLE}), PowerState.ON), True, [CYCLE]),
    ],
)
def test_a_start_does_what_its_driver_can(board: Board, cycle: bool, told: list[Operation]) -> None:
    """The network first where it can be chosen; and what runs is left running, unless asked."""
    checked: Driver = board
    start(checked, None, Target("node1", ()), cycle)
    assert board.told == told
