"""Recorded requests of real firmware, in the names of machines that shall boot their disks.

`Scene.said` tells what is counted: every frame of the appliance's card but answers to ARP. An armed
machine that asks last, and is answered, proves that all the others were heard and gone by.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from ironwake_testing.dhcp import RECORDED, readdressed, recorded
from ironwake_testing.player import payload_of, played
from ironwake_testing.scene import Scene, node, scene

pytestmark = pytest.mark.root

ARMED, UNKNOWN, UNARMED, LOCKED, CANCELLED, EXPIRED = (node(n) for n in range(1, 7))
_EXPIRY_SECONDS = 120.0


@pytest.fixture(scope="module")
def there(store: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One machine in each condition that is not armed, and one that is."""
    with scene(tmp_path_factory.mktemp("quiet")) as there:
        for machine in (ARMED, UNARMED, LOCKED, CANCELLED, EXPIRED):
            there.enrol(machine)
        for machine in (LOCKED, CANCELLED, ARMED):
            there.deploy(machine.name, wake=False)
        ended = there.deploy(EXPIRED.name, wake=False, minutes=0.001)
        there.appliance.wait_deployment(ended, {"expired"}, _EXPIRY_SECONDS)
        there.appliance.api("POST", f"/v1/machines/{LOCKED.name}/lock")
        assert there.appliance.cli("cancel", CANCELLED.name).returncode == 0
        there.appliance.settle()
        yield there


@pytest.mark.parametrize("firmware", RECORDED)
def test_nobody_but_the_armed_machine_is_answered(there: Scene, firmware: str) -> None:
    """Unknown, unarmed, locked, cancelled, expired: each asks as this firmware does, in vain."""
    request = recorded(firmware)
    number = itertools.count(0x77000000)
    with played(there.rack, ARMED.mac, "10.77.0.51") as player:
        with there.rack.capture() as frames:
            for machine in (UNKNOWN, UNARMED, LOCKED, CANCELLED, EXPIRED):
                player.broadcast(readdressed(request, machine.mac, next(number)))
            last = readdressed(recorded("uefi"), ARMED.mac, next(number))
            answer = player.answer(frames, last, there.rack.spec.appliance_mac)
        assert [payload_of(frame) for frame in there.said(frames.all)] == [answer]
