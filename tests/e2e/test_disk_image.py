"""A machine's disk becomes an image, and the image another machine: larger, with its own ids.

Both ways, archive and image, end before the same probe.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ironwake import partitions
from ironwake.disk import Part
from ironwake.lifecycle import State
from ironwake.progress import silent
from ironwake_imager.library.bring import Importer, Wish
from ironwake_imager.library.library import Library
from ironwake_lab import MachineSpec
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.builds import Workshop
from ironwake_testing.acceptance import Key, accept
from ironwake_testing.scene import BOOT_SECONDS, DEPLOY_SECONDS, Scene, copied, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]

_GIB = 1 << 30
PROFILES = {
    "golden": "release: debian-12-cloud\n",
    "clone": "method: disk-image\nimage: gold\nidentity: new\n",
    "again": "method: disk-image\nimage: gold\nidentity: new\nfinish: kexec\nverify: fast\n",
}
GOLDEN = node(1, disk_bytes=3 * _GIB)
CLONE = node(2, firmware="uefi-secureboot", disk_bytes=5 * _GIB)
SMALL = node(3, disk_bytes=5 * _GIB // 2)
OLD = node(4, firmware="bios", disk_bytes=4 * _GIB)


def _parts(disk: Path) -> tuple[Part, ...]:
    with disk.open("rb") as stream:

        def read(start: int, count: int) -> bytes:
            stream.seek(start)
            return stream.read(count)

        return partitions.find(read, disk.stat().st_size).parts


def _no_shop() -> Workshop:
    raise AssertionError("a disk needs no packages")


@dataclass(frozen=True)
class Gold:
    """The scene, who may log in, and the SSH host key of the machine that was copied."""

    scene: Scene
    key: Key
    host_key: str

    def deploy(self, machine: MachineSpec, profile: str, **more: Any) -> None:
        """Until it is healthy, and lets in whom it should."""
        mark = self.scene.rack.machine(machine.name).serial_mark()
        self.scene.succeed(self.scene.deploy(machine.name, profile, **more))
        assert accept(self.scene, machine, self.key, since=mark) != self.host_key


@pytest.fixture(scope="module")
def gold(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gold]:
    """With an image of the disk of a machine that was healthy until its power was cut."""
    folder = tmp_path_factory.mktemp("gold")
    artifacts = copied(store, folder / "artifacts")
    key = Key.made(folder)
    profiles = {name: text + key.profile for name, text in PROFILES.items()}
    machines = (GOLDEN, CLONE, SMALL, OLD)
    with scene(folder, *machines, profiles=profiles, artifacts=artifacts) as there:
        there.enrol(GOLDEN)
        there.succeed(there.deploy(GOLDEN.name, "golden"))
        host_key = accept(there, GOLDEN, key)
        machine = there.rack.machine(GOLDEN.name)
        machine.power_off()
        importer = Importer(Library(ArtifactStore(artifacts)), folder / "cache", silent, _no_shop)
        importer.bring(Wish(str(machine.disk), "gold"))
        yield Gold(there, key, host_key)


def test_a_clone_is_healthy_under_secure_boot(gold: Gold) -> None:
    """Its own name and keys; its disk is full, and no id on it is the golden one's."""
    there = gold.scene
    there.enrol(CLONE)
    gold.deploy(CLONE, "clone")
    machine = there.rack.machine(CLONE.name)
    machine.power_off()
    golden, clone = (_parts(there.rack.machine(one.name).disk) for one in (GOLDEN, CLONE))
    assert [part.name for part in clone] == [part.name for part in golden]
    assert not {part.uuid for part in clone} & {part.uuid for part in golden}
    assert sum(part.size for part in clone) > 5 * _GIB - (4 << 20)


@pytest.mark.deep
def test_it_can_be_written_over_its_own_disk(gold: Gold) -> None:
    """Most of it is there already, and stays; the new kernel starts without the firmware."""
    gold.deploy(CLONE, "again", erase=[f"disk-{CLONE.name}"])
    gold.scene.rack.machine(CLONE.name).power_off()


@pytest.mark.deep
def test_a_smaller_disk_is_refused_untouched(gold: Gold) -> None:
    """The size is compared before a byte of the image comes."""
    there = gold.scene
    there.enrol(SMALL)
    machine = there.rack.machine(SMALL.name)
    before = machine.disk_sha256()
    deployment = there.deploy(SMALL.name, "clone")
    ended = there.appliance.wait_deployment(deployment, {State.FAILED}, DEPLOY_SECONDS)
    machine.power_off()
    assert "too small" in ended["message"] or "no disk is fit" in ended["message"]
    assert machine.disk_sha256() == before


@pytest.mark.deep
def test_a_clone_starts_by_bios_though_its_first_write_lost_power(gold: Gold) -> None:
    """The same image, the other boot mode: cut off in the middle, then deployed once more."""
    there = gold.scene
    there.enrol(OLD)
    deployment = there.deploy(OLD.name, "clone")
    machine = there.rack.machine(OLD.name)
    there.appliance.wait_event(deployment, _is_half_done, DEPLOY_SECONDS)
    machine.power_off()
    assert State.SUCCEEDED not in {event["state"] for event in there.events(deployment)}
    assert not _parts(machine.disk)
    there.appliance.api("POST", f"/v1/deployments/{deployment}/cancel")
    gold.deploy(OLD, "clone")
    mark = machine.serial_mark()
    machine.reset()
    machine.wait_serial(f"{OLD.name} login:", BOOT_SECONDS, since=mark)
    machine.power_off()


def _is_half_done(event: dict[str, Any]) -> bool:
    """Somewhere in the middle: the steps before it are 6 percent, those after it 15."""
    detail = event["detail"]
    return detail.get("step") == "unpacking" and float(detail.get("percent", 0)) > 20
