"""Machines and media that are not as they should be: the agent refuses or stops, and says why."""

from __future__ import annotations

import dataclasses
import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ironwake.lifecycle import State
from ironwake_lab.machine import Machine
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_testing.scene import DEPLOY_SECONDS, Scene, copied, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]

_SECTOR = 512


def fail(there: Scene, deployment: str) -> dict[str, Any]:
    """Wait until it has failed."""
    return there.appliance.wait_deployment(deployment, {State.FAILED}, DEPLOY_SECONDS)


def check_told(there: Scene, machine: Machine, message: str) -> None:
    """The message stands in the history and on the machine's screen; watching ends with 4."""
    watched = there.appliance.cli("watch", machine.name, check=False)
    assert watched.returncode == 4
    assert message in watched.stderr
    machine.wait_serial(r"failed: ", DEPLOY_SECONDS)
    plan = there.appliance.api("GET", f"/v1/plan?mac={machine.mac}")
    assert (plan["kind"], plan["payload"]) == ("local", None)
    assert plan["reason"] == f"the last deployment of {machine.name} is over: failed"


SMALL = node(1, firmware="bios", disk_bytes=1 << 30)
FULL = node(2, firmware="bios", disk_bytes=2 << 30)


@pytest.fixture
def refusing(store: Path, tmp_path: Path) -> Iterator[Scene]:
    """One machine with a small disk, one with somebody's file system on its own."""
    with scene(tmp_path, SMALL, FULL, artifacts=store) as there:
        disk = there.rack.machine(FULL.name).disk
        subprocess.run(["mkfs.ext4", "-q", "-F", "-L", "payroll", disk], check=True)
        yield there


def test_disks_that_are_not_fit(refusing: Scene) -> None:
    """Too small, or not blank: failed with the disk, the cause and the way out; not a bit written.

    One test for both, for they run side by side.
    """
    there = refusing
    machines = [there.rack.machine(spec.name) for spec in (SMALL, FULL)]
    before = [machine.disk_sha256() for machine in machines]
    for spec in (SMALL, FULL):
        there.enrol(spec)
    small, full = (there.deploy(spec.name) for spec in (SMALL, FULL))
    said = [fail(there, deployment)["message"] for deployment in (small, full)]
    assert said[0].startswith(
        "no disk is fit: /dev/vda, serial disk-node1, 1 GiB: it is too small, 2 GiB are needed; "
    )
    assert said[1] == (
        "disk /dev/vda, serial disk-node2, 2 GiB is not blank: ext4 (payroll); "
        "if all of that may go, deploy again with --erase disk-node2"
    )
    for machine, message in zip(machines, said, strict=True):
        check_told(there, machine, message)
    assert [machine.disk_sha256() for machine in machines] == before


@pytest.fixture
def flipped(store: Path, tmp_path: Path) -> Path:
    """A store whose archive has another bit than its hash; a small one, for only that matters."""
    copy = copied(store, tmp_path / "artifacts")
    found = ArtifactStore(copy)
    manifest = found.manifest("debian-12-cloud")
    artifacts = {**manifest.artifacts, "archive": found.add_bytes(_archive(tmp_path / "tree"))}
    found.publish(dataclasses.replace(manifest, artifacts=artifacts))
    _flip(found.path(artifacts["archive"].sha256))
    return copy


def _flip(path: Path) -> None:
    """One bit of it is another one, of this name alone."""
    content = bytearray(path.read_bytes())
    content[len(content) // 8] ^= 1
    path.unlink()
    path.write_bytes(content)


def _archive(tree: Path) -> bytes:
    """A tar file, compressed, with 4 MiB of nothing in particular."""
    (tree / "etc").mkdir(parents=True)
    (tree / "etc" / "noise").write_bytes(random.Random(0).randbytes(4 << 20))
    packed: list[str | Path] = ["tar", "--zstd", "-C", tree, "-c", "."]
    return subprocess.run(packed, check=True, capture_output=True).stdout


def test_an_archive_with_one_flipped_bit(flipped: Path, tmp_path: Path) -> None:
    """Failed with both checksums, and a disk that does not boot: its ESP is empty."""
    machine = node(1)
    with scene(tmp_path, machine, artifacts=flipped) as there:
        there.enrol(machine)
        message = fail(there, there.deploy(machine.name))["message"]
        wanted = ArtifactStore(flipped).manifest("debian-12-cloud").artifacts["archive"]
        assert message.startswith(f"the archive is damaged: {wanted.size} bytes with SHA-256 ")
        assert f"the order says {wanted.size} bytes with {wanted.sha256}" in message
        check_told(there, there.rack.machine(machine.name), message)
        assert "No files" in _esp_of(there.rack.machine(machine.name).disk)


def _esp_of(disk: Path) -> str:
    """The listing of the first partition, as mtools prints it."""
    table = subprocess.run(["sfdisk", "--json", disk], check=True, capture_output=True).stdout
    first = json.loads(table)["partitiontable"]["partitions"][0]
    assert first["type"] == "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"  # EFI system (UEFI 2.10 §5.3.3)
    place = f"{disk}@@{first['start'] * _SECTOR}"
    listed = subprocess.run(["mdir", "-i", place, "::"], check=True, capture_output=True)
    return listed.stdout.decode()


def test_tools_with_one_flipped_bit(store: Path, tmp_path: Path) -> None:
    """The ramdisk's second part is none of what the boot script named: nothing of it is run, and
    the disk that was to be wiped is as it was.
    """
    artifacts = copied(store, tmp_path / "artifacts")
    found = ArtifactStore(artifacts)
    wanted = found.manifest("ramdisk-cloud").artifact("tools")
    _flip(found.path(wanted.sha256))
    machine = node(1, firmware="bios")
    with scene(tmp_path, machine, artifacts=artifacts) as there:
        there.enrol(machine)
        on = there.rack.machine(machine.name)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-L", "payroll", on.disk], check=True)
        before = on.disk_sha256()
        deployment = there.deploy(machine.name, "", method="wipe", erase=[machine.disk_serial])
        message = fail(there, deployment)["message"]
        assert message.startswith("the ramdisk's second part is not to be had: ")
        assert f"the order says {wanted.size} bytes with {wanted.sha256}" in message
        check_told(there, on, message)
        assert on.disk_sha256() == before
