"""A disk image whose write is cut off, or whose bytes are others: no half-written disk boots."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ironwake.artifact import Manifest
from ironwake.lifecycle import State
from ironwake.progress import silent
from ironwake.sizes import MIB
from ironwake_imager.library.bring import Importer, Wish
from ironwake_imager.library.library import Library
from ironwake_lab import process
from ironwake_lab.machine import Machine
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.builds import Workshop
from ironwake_testing.disks import boot_code, write_bios
from ironwake_testing.scene import BOOT_SECONDS, DEPLOY_SECONDS, Scene, copied, node, scene

# Each day tests/agent/image proves the same on files and loop devices, in seconds.
pytestmark = [pytest.mark.root, pytest.mark.qemu, pytest.mark.deep]

_NOISE = 160 * MIB
_NEW, _OLD = "THE-NEW-SYSTEM", "THE-OLD-SYSTEM"
_NOTHING = "Boot failed: not a bootable disk"  # SeaBIOS
_TABLE = """\
label: gpt
start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649
start=4096, type=linux
"""
PROFILES = {name: f"method: disk-image\nimage: {name}\nseed: none\n" for name in ("noise", "other")}
MACHINE = node(1, firmware="bios", disk_bytes=512 * MIB)
# The same disk, and no network before it.
TWIN = node(2, firmware="bios", disk_bytes=512 * MIB, disk_first=True, memory_mb=256)


@dataclass
class Bench:
    """A machine, its twin, and a store with two images of the same size.

    Each boots: its boot sector writes a line. The rest is noise, which takes its time.
    """

    there: Scene
    manifest: Manifest
    other: Manifest

    @property
    def machine(self) -> Machine:
        return self.there.rack.machine(MACHINE.name)

    @property
    def pack(self) -> Path:
        return self.pack_of(self.manifest)

    def pack_of(self, manifest: Manifest) -> Path:
        return ArtifactStore(self.there.artifacts).path(manifest.artifact("pack").sha256)

    def put_pack(self, content: bytes) -> None:
        """Under the same name, as a broken disk or a careless hand would."""
        self.pack.unlink()
        self.pack.write_bytes(content)

    def fresh_disk(self) -> Path:
        """With a system of somebody else's, that boots."""
        disk = self.machine.disk
        with disk.open("r+b") as stream:
            stream.truncate(0)
            stream.truncate(MACHINE.disk_bytes)
        write_bios(disk, _OLD)
        return disk

    def deploy(self) -> str:
        return self.there.deploy(MACHINE.name, "noise", erase=[MACHINE.disk_serial])

    def cancel(self, deployment: str) -> None:
        self.there.appliance.api("POST", f"/v1/deployments/{deployment}/cancel")

    def boots(self) -> str:
        """What a machine does that has this disk, and nothing but this disk."""
        twin = self.there.rack.machine(TWIN.name)
        twin.disk.unlink()
        os.link(self.machine.disk, twin.disk)
        mark = twin.serial_mark()
        twin.power_on()
        try:
            pattern = f"{_NEW}|{_OLD}|{_NOTHING}"
            return twin.wait_serial(pattern, BOOT_SECONDS, since=mark)[0]
        finally:
            twin.power_off()


def _image(path: Path, seed: int) -> Path:
    """A disk that boots by BIOS; GPT, with noise in its last partition."""
    chance = random.Random(seed)
    with path.open("wb") as stream:
        stream.seek(4096 * 512)
        for _ in range(_NOISE // MIB):
            stream.write(chance.randbytes(MIB))
        stream.truncate(_NOISE + 8 * MIB)
    subprocess.run(["sfdisk", "-q", path], input=_TABLE, text=True, check=True)
    with path.open("r+b") as stream:
        stream.write(boot_code(_NEW))
    return path


def _no_shop() -> Workshop:
    raise AssertionError("a disk needs no packages")


@pytest.fixture(scope="module")
def bench(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("faults")
    artifacts = copied(store, folder / "artifacts")
    importer = Importer(Library(ArtifactStore(artifacts)), folder / "cache", silent, _no_shop)
    made = []
    for seed, name in enumerate(PROFILES):
        source = _image(folder / name, seed)
        made.append(importer.bring(Wish(str(source), name)))
        source.unlink()
    with scene(folder, MACHINE, TWIN, profiles=PROFILES, artifacts=artifacts) as there:
        there.enrol(MACHINE)
        yield Bench(there, *made)


@pytest.fixture
def whole(bench: Bench) -> Iterator[Bench]:
    """The stored pack is whole again afterwards, and the machine is off."""
    kept = bench.pack.with_name("kept")
    shutil.copyfile(bench.pack, kept)
    try:
        yield bench
    finally:
        bench.machine.power_off()
        kept.replace(bench.pack)


def _wait(machine: Machine, reached: Callable[[], bool]) -> None:
    """Look at the disk's file without a pause: what is waited for may be over in a millisecond."""
    pid = machine.pid
    assert pid is not None
    while not reached():
        assert not process.is_gone(pid), machine.serial_text()[-3000:]


def _has_bytes(disk: Path, count: int) -> Callable[[], bool]:
    return lambda: disk.stat().st_blocks * 512 >= count


def _has_copy(disk: Path) -> Callable[[], bool]:
    """The table's second copy is there: it comes next before the last."""

    def look() -> bool:
        with disk.open("rb") as stream:
            return os.pread(stream.fileno(), 8, MACHINE.disk_bytes - 512) == b"EFI PART"

    return look


def _edges(disk: Path) -> tuple[bytes, bytes]:
    with disk.open("rb") as stream:
        head = stream.read(MIB)
        stream.seek(-MIB, os.SEEK_END)
        return head, stream.read()


def _die(bench: Bench, reached: Callable[[], bool]) -> str:
    """Deploy, and SIGKILL the machine's QEMU as soon as this is so; the deployment."""
    deployment = bench.deploy()
    began: set[str] = {State.ANSWERS, State.INSTALLING}
    bench.there.appliance.wait_deployment(deployment, began, BOOT_SECONDS)
    machine = bench.machine
    pid = machine.pid
    assert pid is not None
    _wait(machine, reached)
    os.kill(pid, signal.SIGKILL)
    assert process.wait_gone(pid, BOOT_SECONDS)
    machine.power_off()
    return deployment


# In 1/1000 of the image; every day the first and the last but one.
_POINTS = (
    1,
    20,
    60,
    110,
    160,
    210,
    260,
    310,
    370,
    430,
    490,
    550,
    610,
    670,
    730,
    790,
    850,
    910,
    980,
)


@pytest.mark.parametrize("point", _POINTS)
def test_a_machine_that_dies_while_its_disk_is_written(bench: Bench, point: int) -> None:
    """Nothing boots from the disk, neither old nor new; and nobody says that it was installed.

    The next point, or the next test, is the deployment that comes after it.
    """
    disk = bench.fresh_disk()
    deployment = _die(bench, _has_bytes(disk, _NOISE * point // 1000))
    events = bench.there.events(deployment)
    assert events[-1]["state"] == State.INSTALLING
    assert "installed" not in {event["kind"] for event in events}
    bench.cancel(deployment)
    assert _edges(disk) == (bytes(MIB), bytes(MIB))
    assert bench.boots() == _NOTHING


def test_the_next_deployment_goes_on_though_the_appliance_dies_twice(bench: Bench) -> None:
    """On half of what the last one left; killed twice while it serves, it is taken up again."""
    disk = bench.machine.disk
    for size in (_NOISE // 2, MACHINE.disk_bytes):
        os.truncate(disk, size)
    mark = bench.machine.serial_mark()
    deployment = bench.deploy()
    appliance = bench.there.appliance
    appliance.wait_deployment(deployment, {State.INSTALLING}, BOOT_SECONDS)
    before = disk.stat().st_blocks * 512
    for part in (4, 2):
        _wait(bench.machine, _has_bytes(disk, before + (_NOISE - before) // part))
        appliance.kill("http")
    bench.machine.wait_serial(_NEW, DEPLOY_SECONDS, since=mark)
    states = {event["state"] for event in bench.there.events(deployment)}
    assert {State.INSTALLED, State.FIRST_BOOT} & states
    assert State.SUCCEEDED not in states  # a boot sector reports no health
    assert "going on" in bench.machine.serial_text(mark)
    bench.cancel(deployment)
    bench.machine.power_off()
    assert bench.boots() == _NEW


def test_a_machine_that_dies_between_the_last_two_writes(bench: Bench) -> None:
    """With one copy of the table: it has no first sector yet, or all of what it shall have."""
    disk = bench.fresh_disk()
    deployment = _die(bench, _has_copy(disk))
    bench.cancel(deployment)
    first = _edges(disk)[0][:512]
    assert bench.boots() == (_NEW if any(first) else _NOTHING)
    assert not any(first) or first[510:] == b"\x55\xaa"


def _flipped(bench: Bench) -> bytes:
    content = bytearray(bench.pack.read_bytes())
    content[len(content) // 2] ^= 1
    return bytes(content)


def _truncated(bench: Bench) -> bytes:
    return bench.pack.read_bytes()[: bench.manifest.artifact("pack").size // 2]


def _swapped(bench: Bench) -> bytes:
    """Of the same size: another one is what the appliance itself finds out."""
    size = bench.manifest.artifact("pack").size
    return bench.pack_of(bench.other).read_bytes()[:size].ljust(size, b"\0")


@pytest.mark.parametrize(
    ("change", "words", "boots"),
    [
        (_flipped, r"the image is damaged at byte \d+ of its disk: ", _NOTHING),
        (_truncated, r"the bytes of this artifact are damaged or gone \(HTTP 503\)", _OLD),
        (_swapped, r"the image is damaged at byte \d+", _OLD),
    ],
    ids=["flipped", "truncated", "swapped"],
)
def test_other_bytes_under_the_same_name(
    whole: Bench, change: Callable[[Bench], bytes], words: str, boots: str
) -> None:
    """A flipped bit, a truncation, another image: failed, with what was wrong.

    What the edges tell, which are fetched before the first write, leaves the disk bit for bit as it
    was; after that, nothing boots.
    """
    whole.fresh_disk()
    before = whole.machine.disk_sha256()
    whole.put_pack(change(whole))
    deployment = whole.deploy()
    ended = whole.there.appliance.wait_deployment(deployment, {State.FAILED}, DEPLOY_SECONDS)
    assert re.search(words, ended["message"]), ended["message"]
    event = _last(whole.there.events(deployment), "failed")
    assert re.search(words, event["message"])
    whole.machine.power_off()
    assert (whole.machine.disk_sha256() == before) == (boots == _OLD)
    assert whole.boots() == boots


def _last(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(event for event in reversed(events) if event["kind"] == kind)
