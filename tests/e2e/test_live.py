"""A system from memory: fetched, set up, healthy, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwake_testing import scene as scenes
from ironwake_testing.scene import node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]

MACHINE = node(1, memory_mb=1536)
PROFILES = {"live": "release: debian-12-cloud\nmethod: live\nuser: {name: admin}\n"}


@pytest.fixture(scope="module")
def live_store() -> Path:
    """Loaders, and Debian 12 as a live system for virtual machines."""
    return scenes.build("debian-12-cloud-live")


@pytest.mark.deep
def test_a_live_system_reports_its_health_and_writes_nothing(
    live_store: Path, tmp_path: Path
) -> None:
    """By GRUB, live-boot and cloud-init: its name is the machine's, and its disk stays blank."""
    with scene(tmp_path, MACHINE, profiles=PROFILES, artifacts=live_store) as there:
        there.enrol(MACHINE)
        deployment = there.deploy(MACHINE.name, "live")
        there.succeed(deployment)
        health = next(e for e in there.events(deployment) if e["kind"] == "healthy")
        assert health["detail"]["hostname"] == MACHINE.name
        assert health["message"].endswith("reported from memory")
        machine = there.rack.machine(MACHINE.name)
        assert machine.is_on
        with machine.disk.open("rb") as disk:
            assert not any(disk.read(1 << 20))
