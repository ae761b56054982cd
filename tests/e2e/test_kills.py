"""Every service is killed once during one installation: it succeeds, and nothing said is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ironwake.lifecycle import State
from ironwake_lab.capture import Capture, Frame
from ironwake_testing.scene import BOOT_SECONDS, Scene, node, scene
from ironwake_testing.soundness import SERVICES, Event, assert_no_half_state, claims, writings

pytestmark = [pytest.mark.root, pytest.mark.qemu]

MACHINE = node(1)

_FIRST_WORDS = b"POST /deployments/"  # the ramdisk describes its machine, then claims


@dataclass
class Run:
    """One installation. `before` holds what the API had said when each service was killed."""

    there: Scene
    deployment: str
    before: list[tuple[str, list[Event]]] = field(default_factory=list)

    @property
    def events(self) -> list[Event]:
        return self.there.events(self.deployment)

    def kill_at(self, wanted: Callable[[Event], bool], *services: str) -> None:
        """Once such an event is committed."""
        for service in services:
            events = self.there.appliance.wait_event(self.deployment, wanted, BOOT_SECONDS)
            self.before.append((service, events))
            self.there.appliance.kill(service)

    def kill_on(self, frames: Capture, wanted: Callable[[Frame], bool], service: str) -> None:
        """As soon as such a frame passes on the wire.

        A TFTP server that dies in mid-transfer ends this boot option: OVMF goes on to the next
        ones, the blank disk and then HTTP Boot, which the same deployment answers.
        """
        self.before.append((service, self.events))
        frames.wait_for(wanted, BOOT_SECONDS)
        self.there.appliance.kill(service)

    def kill_before_claim(self, frames: Capture) -> None:
        """Kill the controller while the http service waits for its answer to the ramdisk.

        Stopped before, so that it cannot be faster than we are. The machine has asked by then: it
        is the http service that holds the request, and asks the next controller.
        """
        appliance = self.there.appliance
        events = appliance.wait_event(self.deployment, _ramdisk_loaded, BOOT_SECONDS)
        os.kill(appliance.service_pid("controller"), signal.SIGSTOP)
        assert not any(_reports(frame) for frame in frames.all)
        self.before.append(("controller", events))
        frames.wait_for(_reports, BOOT_SECONDS)
        appliance.kill("controller")


def _discovers(frame: Frame) -> bool:
    return frame.source == _packed(MACHINE.mac) and frame.udp_ports == (68, 67)


def _loader_data(frame: Frame) -> bool:
    """A full block of TFTP: nothing else that large goes to the machine by UDP."""
    return (
        frame.destination == _packed(MACHINE.mac)
        and frame.udp_ports is not None
        and frame.length > 1000
    )


def _reports(frame: Frame) -> bool:
    return frame.source == _packed(MACHINE.mac) and _FIRST_WORDS in frame.data


def _packed(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _kernel(event: Event) -> bool:
    return bool(event["kind"] == "kernel")


def _ramdisk_loaded(event: Event) -> bool:
    return bool(event["kind"] == "sent" and "initrd" in event["detail"]["file"])


def _unpacking(event: Event) -> bool:
    return bool(event["kind"] == "progress" and event["detail"].get("step") == "unpacking")


@pytest.fixture(scope="module")
def survived(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A machine that was installed while every service was killed in its turn."""
    with scene(tmp_path_factory.mktemp("kills"), MACHINE, artifacts=store) as there:
        there.enrol(MACHINE)
        with there.rack.capture() as frames:
            run = Run(there, there.deploy(MACHINE.name))
            run.kill_on(frames, _discovers, "dhcp")
            run.kill_on(frames, _loader_data, "tftp")
            run.kill_at(_kernel, "controller")
            run.kill_before_claim(frames)
        run.kill_at(_unpacking, "http", "dns")
        there.succeed(run.deployment)
        yield run


def test_the_installation_succeeds(survived: Run) -> None:
    """Each service died at its own worst moment; the machine is healthy all the same."""
    assert {service for service, _ in survived.before} == set(SERVICES)
    assert survived.events[-1]["state"] == State.SUCCEEDED


def test_the_order_was_handed_out_once(survived: Run) -> None:
    """The controller that died just before the claim left it to the next one, who made it once."""
    (claimed,) = claims(survived.events)
    before_claim = [events for service, events in survived.before if service == "controller"][-1]
    assert claimed not in before_claim
    assert writings(survived.there.rack.machine(MACHINE.name)) == 1


def test_nothing_acknowledged_is_lost(survived: Run) -> None:
    """What the API had told before a kill it still tells, word for word, in the same places."""
    after = survived.events
    for service, before in survived.before:
        assert after[: len(before)] == before, service
    numbers = [event["seq"] for event in after]
    assert numbers == sorted(set(numbers))


def test_there_is_no_half_state(survived: Run) -> None:
    """States follow in their order, each entered once, and the database is sound."""
    assert_no_half_state(survived.events, survived.there.state)


def test_every_service_is_back(survived: Run) -> None:
    """Nobody has to look after the appliance: whatever was killed runs again, and answers."""
    for service in SERVICES:
        assert survived.there.appliance.service_pid(service) > 0
    survived.there.appliance.api("GET", "/readyz", expect=200)
