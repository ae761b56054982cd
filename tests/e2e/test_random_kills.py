"""Any service killed at a random moment of an installation: at most one, and a clear end.

A hop is drawn, and how many frames the machine sends after it until the service dies: time alone
would nearly always hit the archive's transfer.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake_lab.capture import Frame
from ironwake_testing.scene import DEPLOY_SECONDS, Scene, node, scene
from ironwake_testing.soundness import SERVICES, assert_no_half_state, claims, writings

pytestmark = [pytest.mark.root, pytest.mark.qemu, pytest.mark.deep]

SEEDS = range(20)
MACHINE = node(1, firmware="bios")
# Events by their kind, and the step where the agent told one.
HOPS = (
    ("armed", ""),
    ("offered", ""),
    ("script", ""),
    ("kernel", ""),
    ("facts", ""),
    ("claimed", ""),
    ("progress", "partitioning"),
    ("progress", "unpacking"),
    ("progress", "configuring"),
    ("installed", ""),
)
_FRAMES = 30
_END = 2 * DEPLOY_SECONDS
# What ends the waiting: an end, or the judgement that it is stuck.
_OVER = {str(State.SUCCEEDED), str(State.FAILED), "stuck"}


@pytest.fixture(scope="module")
def there(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One machine, installed anew for each seed."""
    with scene(tmp_path_factory.mktemp("random"), MACHINE, artifacts=store) as there:
        there.enrol(MACHINE)
        yield there


@pytest.mark.parametrize("seed", SEEDS)
def test_at_most_one_installation_and_a_clear_end(there: Scene, seed: int) -> None:
    """The order is handed out once at most, the disk is begun once at most, and the end is told."""
    chance = random.Random(seed)
    service = chance.choice(SERVICES)
    kind, step = chance.choice(HOPS)
    more = chance.randrange(_FRAMES)
    machine = there.rack.machine(MACHINE.name)
    machine.power_off()
    mark = machine.serial_mark()
    with there.rack.capture() as frames:
        deployment = there.deploy(MACHINE.name, erase=[MACHINE.disk_serial])
        there.appliance.wait_event(deployment, lambda event: _is(event, kind, step), _END)
        sent = len(frames.sent_by(MACHINE.mac))
        frames.wait_for(_after(sent + more), _END)
        there.appliance.kill(service)
        end = _end(there, deployment)
    told = f"seed {seed}: {service} killed {more} frames after {kind} {step}: {end}"
    events = there.events(deployment)
    assert len(claims(events)) <= 1, told
    assert writings(machine, mark) <= len(claims(events)), told
    assert_no_half_state(events, there.state)
    if end["stuck"]:
        assert end["stuck"]["cause"], told
        assert end["stuck"]["next_step"], told
        there.appliance.api("POST", f"/v1/deployments/{deployment}/cancel")
    else:
        assert end["state"] in (State.SUCCEEDED, State.FAILED), told


def _is(event: dict[str, Any], kind: str, step: str) -> bool:
    return event["kind"] == kind and step in event["detail"].get("step", "")


def _after(number: int) -> Callable[[Frame], bool]:
    """The frame of the machine's card before which so many others went."""
    count = itertools.count()
    source = Mac(MACHINE.mac).packed

    def is_it(frame: Frame) -> bool:
        return frame.source == source and next(count) >= number

    return is_it


def _end(there: Scene, deployment: str) -> dict[str, Any]:
    """The deployment once it is over, or stuck; a controller that is away is waited for."""
    there.appliance.wait_event(deployment, lambda event: event["kind"] in _OVER, _END)
    found: dict[str, Any] = there.appliance.api("GET", f"/v1/deployments/{deployment}")
    return found
