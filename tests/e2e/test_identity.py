"""Whose deployment is it? Twins, another board, restarts: on real firmware.

SeaBIOS where the firmware does not matter: it boots in a few seconds.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ironwake.machine import MachineUuid
from ironwake_lab import MachineSpec
from ironwake_lab.capture import Capture, Frame
from ironwake_lab.machine import Machine
from ironwake_testing.dhcp import UUID, options
from ironwake_testing.player import payload_of
from ironwake_testing.scene import BOOT_SECONDS, DEPLOY_SECONDS, PROFILES, Scene, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]

TO_DISK = r"Booting from Hard Disk"
ANOTHER_BOARD = "99999999-1111-4222-8333-525400770010"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SMALL: dict[str, Any] = {"firmware": "bios", "disk_bytes": 64 << 20}
ONE = node(1, **_SMALL)
OTHER = node(2, **_SMALL, mac=ONE.mac, twin_of=ONE.name)


def enrol(there: Scene, spec: MachineSpec, **more: Any) -> None:
    body = {"name": spec.name, "macs": [card.mac for card in spec.cards], **more}
    there.appliance.api("POST", "/v1/machines", body, expect=201)


def arm(there: Scene, spec: MachineSpec, profile: str = "debian") -> str:
    """A deployment that all services know of; nobody is woken, for a packet would wake twins."""
    deployment = there.deploy(spec.name, profile, wake=False)
    there.appliance.settle()
    return deployment


def wait(there: Scene, deployment: str, kind: str, number: int = 1) -> list[dict[str, Any]]:
    """All events, once there are so many of that kind."""
    seen: set[int] = set()

    def enough(event: dict[str, Any]) -> bool:
        seen.update([event["seq"]] if event["kind"] == kind else [])
        return len(seen) >= number

    return there.appliance.wait_event(deployment, enough, DEPLOY_SECONDS)


def try_in_vain(machine: Machine) -> None:
    """Boot it; it goes to its disk, and no word of ours was on its screen."""
    mark = machine.serial_mark()
    if not machine.power_on():
        machine.reset()
    machine.wait_serial(TO_DISK, BOOT_SECONDS, since=mark)
    text = machine.serial_text(mark)
    assert "iPXE" in text
    assert "Ironwake" not in text
    assert "boot.ipxe" not in text


def alarms(events: list[dict[str, Any]]) -> list[set[str]]:
    """The UUIDs that each alarm names."""
    return [set(_UUID.findall(e["message"])) for e in events if e["kind"] == "alarm"]


def are(found: set[str], *machines: MachineSpec) -> bool:
    """Whether these are the machines' UUIDs, in either order of their bytes."""
    return len(found) == len(machines) and all(
        any(MachineUuid(one).is_same(machine.uuid) for one in found) for machine in machines
    )


def offered_to(there: Scene, frames: Capture) -> set[str]:
    """The UUIDs of whom our answers to DHCP are for: each gives its client's own back."""
    answers = [frame for frame in there.ours(frames.all) if _is_dhcp(frame)]
    return {str(MachineUuid.from_option_97(options(payload_of(f))[UUID])) for f in answers}


def _is_dhcp(frame: Frame) -> bool:
    return frame.udp_ports is not None and frame.udp_ports[0] in (67, 4011)


def test_twins_of_whom_nothing_is_known(store: Path, tmp_path: Path) -> None:
    """Two machines, one MAC: whoever is first is served and goes on; the other hears nothing.

    The other one is switched on while the first has its ramdisk on the way.
    """
    with scene(tmp_path, ONE, OTHER, artifacts=store) as there:
        enrol(there, ONE)
        deployment = arm(there, ONE)
        first, second = there.rack.machine(ONE.name), there.rack.machine(OTHER.name)
        with there.rack.capture() as frames:
            first.power_on()
            wait(there, deployment, "kernel")
            try_in_vain(second)
            second.power_off()
            events = wait(there, deployment, "claimed")
        first.power_off()
        assert [e["kind"] for e in events].count("claimed") == 1
        assert [named for named in alarms(events) if are(named, ONE, OTHER)]
        (served,) = offered_to(there, frames)
        assert MachineUuid(served).is_same(ONE.uuid)
        known = there.appliance.api("GET", f"/v1/machines/{ONE.name}")["learned"]["uuid"]
        assert MachineUuid(known).is_same(ONE.uuid)


def test_a_stranger_with_the_card_of_a_machine_whose_uuid_is_known(
    store: Path, tmp_path: Path
) -> None:
    """Enrolled with its UUID: the stranger comes first, hears nothing at all, and takes nothing."""
    with scene(tmp_path, ONE, OTHER, artifacts=store) as there:
        enrol(there, ONE, uuid=ONE.uuid)
        deployment = arm(there, ONE)
        stranger = there.rack.machine(OTHER.name)
        with there.rack.capture() as frames:
            try_in_vain(stranger)
        stranger.power_off()
        assert there.said(frames.all) == []
        events = wait(there, deployment, "alarm")
        assert [named for named in alarms(events) if are(named, ONE, OTHER)]
        assert events[-1]["state"] == "armed"
        own = there.rack.machine(ONE.name)
        own.power_on()
        wait(there, deployment, "kernel")
        own.power_off()


def test_another_board(store: Path, tmp_path: Path) -> None:
    """Same card and disk, new UUID: held, with an alarm, until a person has confirmed it."""
    with scene(tmp_path, ONE, artifacts=store) as there:
        machine = there.rack.machine(ONE.name)
        enrol(there, ONE)
        first = arm(there, ONE)
        machine.power_on()
        # Its disk is too small: it shows itself, gets its order, and the deployment is over.
        there.appliance.wait_deployment(first, {"failed"}, DEPLOY_SECONDS)
        # It has heard our last answer then: to a machine that is off, that would be sent again.
        machine.wait_serial("stopped: ", BOOT_SECONDS)
        machine.power_off()
        machine.replace_board(ANOTHER_BOARD)
        before = machine.disk_sha256()

        deployment = arm(there, ONE)
        with there.rack.capture() as frames:
            try_in_vain(machine)
        assert there.said(frames.all) == []
        events = wait(there, deployment, "alarm")
        assert [named for named in alarms(events) if are(named, ONE, machine.spec)]
        assert events[-1]["state"] == "armed"
        learned = there.appliance.api("GET", f"/v1/machines/{ONE.name}")["learned"]
        assert MachineUuid(learned["uuid"]).is_same(ONE.uuid)
        assert MachineUuid(learned["seen_uuid"]).is_same(ANOTHER_BOARD)
        shown = there.appliance.cli("machine", "show", ONE.name).stdout
        assert learned["seen_uuid"] in shown
        machine.power_off()
        assert machine.disk_sha256() == before

        there.appliance.cli("machine", "confirm", ONE.name)
        there.appliance.settle()
        machine.power_on()
        wait(there, deployment, "claimed")
        machine.power_off()


RESTARTS = {**PROFILES, "restarts": "release: debian-12-cloud\nexpected_reboots: 2\n"}


def test_an_installer_that_restarts(store: Path, tmp_path: Path) -> None:
    """Two restarts are expected: to the disk, and counted. The third is told; it can still succeed.

    The installer is played by its calls; what restarts is a real machine.
    """
    with scene(tmp_path, ONE, profiles=RESTARTS, artifacts=store) as there:
        enrol(there, ONE)
        deployment = arm(there, ONE, "restarts")
        script = there.appliance.api("GET", f"/v1/plan?mac={ONE.mac}")["script"]
        (token,) = re.findall(r"ironwake\.token=(\w+)", script)
        base = f"http://{there.appliance.address}/deployments/{token}"
        order = json.loads(there.rack.run(["curl", "-fsS", f"{base}/order"]).stdout)

        def say(words: str) -> None:
            url = f"{base}/callbacks?{words}"
            there.rack.run(["curl", "-fsS", "-X", "POST", url])

        machine = there.rack.machine(ONE.name)
        for number in (1, 2, 3):
            say(f"stage=installing&percent={10 * number}")
            there.appliance.settle()
            with there.rack.capture() as frames:
                try_in_vain(machine)
            assert there.said(frames.all) == []
            events = wait(there, deployment, "rebooted", number)
            stuck = there.appliance.api("GET", f"/v1/deployments/{deployment}")["stuck"]
            assert bool(stuck) is (number == 3)
            assert [e["kind"] for e in events].count("rebooted") == number
        assert stuck["cause"] == "it restarted 3 times during its installation, 2 expected"
        say("stage=installed")
        there.rack.run(["curl", "-fsS", "-X", "POST", order["health"]])
        machine.power_off()
        there.succeed(deployment)
