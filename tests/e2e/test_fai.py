"""FAI, a real unattended installer, to its end: installed, restarted, healthy; and its failure.

It speaks by its monitor, by TCP, and by hooks, by HTTP. When it fails it falls silent, in a shell.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ironwake_lab import MachineSpec, Rack, RackSpec, network
from ironwake_lab.appliance import Appliance, ApplianceSpec
from ironwake_testing import packagecache
from ironwake_testing import scene as scenes
from ironwake_testing.scene import Scene, node, scene
from ironwake_testing.uplink import Uplink, uplink

pytestmark = [pytest.mark.root, pytest.mark.qemu]

RELEASE = "fai-debian-12-cloud"
# 170 s on a quiet host.
SECONDS = 1800.0
_TOO_LARGE = """
layout:
  disks:
    - name: disk
      partitions:
        - {name: core, role: bios-boot, size: 1MiB}
        - {name: root, size: 64GiB, format: ext4, mount: /}
"""
PROFILES = {
    "fai": f"release: {RELEASE}\nmethod: script\n",
    "packages": (
        f"release: {RELEASE}\nmethod: script\nparameters: {{packages: [htop, tree, rsync]}}\n"
    ),
    "too-large": f"release: {RELEASE}\nmethod: script\n{_TOO_LARGE}",
}
# It unpacks its root into memory.
MACHINE, SECOND = (node(number, firmware="bios", memory_mb=1280) for number in (1, 2))
APPLIANCE = "10.77.0.2"


@pytest.fixture(scope="module")
def fai_store() -> Path:
    """Loaders, and FAI for virtual machines."""
    return scenes.build(RELEASE)


@pytest.fixture
def there(fai_store: Path, tmp_path: Path) -> Iterator[Scene]:
    """A rack with one machine."""
    with scene(tmp_path, MACHINE, profiles=PROFILES, artifacts=fai_store) as raised:
        raised.enrol(MACHINE)
        yield raised


@dataclass(frozen=True)
class Cached:
    """A rack whose one way to a mirror is the appliance's package cache."""

    there: Scene
    up: Uplink

    def install(self, machine: MachineSpec, *erase: str) -> None:
        """To its health; then it is off."""
        deployment = self.there.deploy(machine.name, "packages", erase=list(erase))
        self.there.appliance.wait_deployment(deployment, {"succeeded"}, SECONDS)
        self.there.rack.machine(machine.name).power_off()

    @property
    def served(self) -> int:
        """Bytes that machines have got of packages."""
        words = [*network.enter(self.there.rack.namespace), sys.executable, "-m", "ironwake_cli"]
        told = subprocess.run(
            [*words, "cache", "status", "--json"],
            check=True,
            capture_output=True,
            text=True,
            env=self.there.appliance.environment,
        )
        return sum(one["sent"] for one in json.loads(told.stdout)["sources"].values())


@pytest.fixture
def cached(fai_store: Path, tmp_path: Path) -> Iterator[Cached]:
    """Two machines; the mirror is this host's own, through the rack's uplink."""
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    for name, text in PROFILES.items():
        (profiles / f"{name}.yaml").write_text(text)
    spec = RackSpec(f"t{secrets.token_hex(4)}", (MACHINE, SECOND))
    with (
        packagecache.folder() as kept,
        Rack.up(spec) as rack,
        uplink(rack.namespace, APPLIANCE) as up,
    ):
        settings = {
            "IRONWAKE_PACKAGES": "on",
            "IRONWAKE_PACKAGES_DIR": str(kept),
            "IRONWAKE_MIRROR": up.setting,
        }
        at = ApplianceSpec(tmp_path / "state", fai_store, profiles, settings)
        with Appliance(rack, at) as appliance:
            there = Scene(rack, appliance, at.state, profiles, fai_store)
            for machine in (MACHINE, SECOND):
                there.enrol(machine)
            yield Cached(there, up)


@pytest.mark.deep
def test_packages_come_from_the_mirror_once(cached: Cached) -> None:
    """A second machine has nearly all from the cache; with the mirror away a third time is fine."""
    cached.install(MACHINE)
    assert sum(cached.up.sent.values()) > 0
    before, fetched = cached.served, sum(cached.up.sent.values())
    cached.install(SECOND)
    served, again = cached.served - before, sum(cached.up.sent.values()) - fetched
    assert served > 0
    assert again <= served * 0.05
    cached.up.unplug()
    asked = cached.up.asked.total()
    cached.install(MACHINE, cached.there.rack.machine(MACHINE.name).spec.disk_serial)
    # A connection that was kept open would go on.
    assert cached.up.asked.total() == asked


def _steps(there: Scene, deployment: str) -> list[str]:
    events = there.events(deployment)
    return [event["detail"].get("step", "") for event in events if event["kind"] == "progress"]


@pytest.mark.deep
def test_fai_installs_a_machine_that_comes_up_healthy(there: Scene) -> None:
    """From power-on to the health report of the system on its disk; nobody touches it."""
    deployment = there.deploy(MACHINE.name, "fai")
    there.appliance.wait_deployment(deployment, {"succeeded"}, SECONDS)
    kinds = [event["kind"] for event in there.events(deployment)]
    assert kinds.count("claimed") == 1
    steps = _steps(there, deployment)
    # No hook of ours runs before FAI knows its classes: that was its monitor.
    assert "setup" in steps
    assert [step for step in steps if step in ("partition", "extrbase", "configure")] == [
        "partition",
        "extrbase",
        "configure",
    ]
    # The monitor never ends anything: that was a hook.
    assert "installed" in kinds
    health = _event(there, deployment, "healthy")
    assert health["detail"]["hostname"] == MACHINE.name
    assert health["message"].endswith("reported from the disk")


@pytest.mark.deep
def test_fai_that_fails_is_reported_before_it_falls_silent(there: Scene) -> None:
    """A disk that is too small for its layout: said with FAI's own code, and its log's end."""
    deployment = there.deploy(MACHINE.name, "too-large")
    there.appliance.wait_deployment(deployment, {"failed"}, SECONDS)
    failed = _event(there, deployment, "failed")
    assert "task partition, code 710" in failed["message"]
    log = _event(there, deployment, "log")
    assert "setup-storage" in log["message"]
    # It stays in its shell, and says nothing more.
    assert there.rack.machine(MACHINE.name).is_on


def _event(there: Scene, deployment: str, kind: str) -> dict[str, Any]:
    return next(event for event in there.events(deployment) if event["kind"] == kind)
