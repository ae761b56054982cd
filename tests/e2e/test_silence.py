"""Real firmware that nobody armed hears nothing of us, tries its disk, and finds it as it was.

`Scene.said` tells what is counted: every frame of the appliance's card but answers to ARP.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ironwake_testing.scene import BOOT_SECONDS, Scene, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]

UNKNOWN = node(1, disk_bytes=64 << 20, memory_mb=512)
UNARMED = node(2, disk_bytes=64 << 20, memory_mb=512)


@pytest.fixture
def there(store: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Two machines with something on their disks; one of them is enrolled."""
    with scene(tmp_path_factory.mktemp("silence"), UNKNOWN, UNARMED) as there:
        there.enrol(UNARMED)
        there.appliance.settle()
        for machine in there.rack.machines:
            with machine.disk.open("r+b") as disk:
                disk.write(b"somebody's data " * 65536)
        yield there


def test_unknown_and_unarmed_machines_hear_nothing(there: Scene) -> None:
    """Over a whole network boot attempt, until the firmware tries the disk: no packet, no write."""
    machines = there.rack.machines
    before = [machine.disk_sha256() for machine in machines]
    with there.rack.capture() as frames:
        for machine in machines:
            machine.power_on()
        for machine in machines:
            # Boot0001 is the card, first in the order; Boot0002 is the disk.
            machine.wait_serial(r"Boot0001 .*: Not Found\s[^>]*Boot0002", BOOT_SECONDS)
            assert "Start PXE over IPv4" in machine.serial_text()
            assert any(frame.udp_ports == (68, 67) for frame in frames.sent_by(machine.mac))
    assert there.said(frames.all) == []
    assert [machine.disk_sha256() for machine in machines] == before
    names = [one["name"] for one in there.appliance.api("GET", "/v1/machines")["items"]]
    assert names == [UNARMED.name]
    assert there.appliance.api("GET", "/v1/deployments")["items"] == []
