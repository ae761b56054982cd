"""Twenty boots of real machines, network first, in every state but an arm that lives.

Two machines stand side by side. The states are made as a person and an installer make them: by the
API, by time, and by what an agent would report. Each boot ends at the disk's own words, and the
disk is as it was.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ironwake_lab import MachineSpec
from ironwake_lab.machine import Machine
from ironwake_testing.disks import BOOTED, write_bios, write_uefi
from ironwake_testing.scene import BOOT_SECONDS, Scene, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]

_BYTES = 64 << 20
_BIOS = tuple(node(n, firmware="bios", disk_bytes=_BYTES, memory_mb=256) for n in (1, 2))
_UEFI = tuple(node(n, firmware="uefi-secureboot", disk_bytes=_BYTES, memory_mb=512) for n in (1, 2))
# A claimed machine that says nothing for three seconds is stuck.
_SETTINGS = {"IRONWAKE_DEADLINE_SCALE": "0.01"}
_SECONDS = 120.0


@dataclass
class Room:
    """Two machines with data on their disks, and the appliance beside them."""

    there: Scene
    machines: tuple[MachineSpec, ...]
    hashes: dict[str, str]

    def api(self, method: str, path: str, body: Any = None) -> Any:
        return self.there.appliance.api(method, path, body)

    def arm(self, minutes: float = 60.0) -> list[str]:
        """Both machines; the deployments' ids."""
        names = [machine.name for machine in self.machines]
        return [self.there.deploy(name, wake=False, minutes=minutes) for name in names]

    def secrets(self, name: str) -> tuple[str, str]:
        """A deployment's token and health token, as the services know them."""
        token = (self.there.state / "secrets" / "service.token").read_text().strip()
        words = ["curl", "-fsS", "-H", f"Authorization: Bearer {token}"]
        url = f"{self.there.appliance.url}/internal/view"
        view = json.loads(self.there.rack.run([*words, url]).stdout)
        found = next(e["deployment"] for e in view["entries"] if e["machine"]["name"] == name)
        return found["token"], found["health_token"]

    def say(self, path: str, *words: str) -> None:
        """As the agent does, from inside the rack."""
        url = f"http://{self.there.appliance.address}/{path}"
        self.there.rack.run(["curl", "-fsS", "--max-time", "60", *words, url])

    def claim(self) -> list[tuple[str, str]]:
        """Both have taken their orders; their tokens."""
        self.arm()
        self.there.appliance.settle()
        tokens = [self.secrets(machine.name) for machine in self.machines]
        for token, _ in tokens:
            self.say(f"deployments/{token}/order", "-H", "X-Ironwake-Boot: played")
        return tokens

    def end(self) -> None:
        """Whatever lives is cancelled."""
        for one in self.api("GET", "/v1/deployments")["items"]:
            if not one["over"]:
                self.api("POST", f"/v1/deployments/{one['id']}/cancel")

    def states(self) -> set[str]:
        return {one["state"] for one in self.api("GET", "/v1/machines")["items"]}

    def boot(self) -> None:
        """Both at once, network first, until their disks speak: not a bit is another one."""
        self.there.appliance.settle()
        marks = []
        for spec in self.machines:
            machine = self.there.rack.machine(spec.name)
            marks.append(machine.serial_mark())
            machine.power_on()
        try:
            for spec, mark in zip(self.machines, marks, strict=True):
                self.there.rack.machine(spec.name).wait_serial(BOOTED, BOOT_SECONDS, since=mark)
        finally:
            for spec in self.machines:
                self.there.rack.machine(spec.name).power_off()
        for spec in self.machines:
            assert self.there.rack.machine(spec.name).disk_sha256() == self.hashes[spec.name]


def _unknown(room: Room) -> None:
    assert room.states() == set()


def _known(room: Room) -> None:
    for machine in room.machines:
        room.there.enrol(machine)


def _expired(room: Room) -> None:
    for name in room.arm(minutes=0.02):
        room.there.appliance.wait_deployment(name, {"expired"}, _SECONDS)


def _failed(room: Room) -> None:
    for token, _ in room.claim():
        room.say(f"deployments/{token}/callbacks", "-d", '{"stage": "failed"}')
    assert room.states() == {"failed"}


def _stuck(room: Room) -> None:
    room.claim()
    for one in room.api("GET", "/v1/deployments")["items"]:
        if not one["over"]:
            room.there.appliance.wait_event(
                one["id"], lambda e: bool(e["kind"] == "stuck"), _SECONDS
            )
    assert room.states() == {"answers"}


def _done(room: Room) -> None:
    for token, health in room.claim():
        for stage in ("installing", "installed"):
            room.say(f"deployments/{token}/callbacks", "-d", json.dumps({"stage": stage}))
        room.say(f"health/{health}", "-d", "{}")
    assert room.states() == {"succeeded"}


def _locked(room: Room) -> None:
    room.arm()
    for machine in room.machines:
        room.api("POST", f"/v1/machines/{machine.name}/lock")


def _unlocked(room: Room) -> None:
    """Not armed any more either: it was cancelled before."""
    for machine in room.machines:
        room.api("POST", f"/v1/machines/{machine.name}/unlock")


def _restored(room: Room) -> None:
    """The database alone, from a copy that was made while both were armed."""
    room.arm()
    database, aside = room.there.state / "ironwake.sqlite", room.there.state.parent / "copy.sqlite"
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(aside)) as target:
        source.backup(target)
    room.there.appliance.stop()
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    shutil.copy(aside, database)
    room.there.appliance.start()
    assert room.states() == {"expired"}


def _restored_whole(room: Room) -> None:
    """The whole state folder, with the services' views in which both are armed."""
    room.arm()
    room.there.appliance.settle()
    state, aside = room.there.state, room.there.state.parent / "copy"
    shutil.copytree(state, aside)
    room.there.appliance.stop()
    shutil.rmtree(state)
    shutil.copytree(aside, state)
    room.there.appliance.start()
    assert room.states() == {"expired"}


STATES: tuple[Callable[[Room], None], ...] = (
    _unknown,
    _known,
    _expired,
    _failed,
    _stuck,
    _done,
    _restored,
    _restored_whole,
    _locked,
    _unlocked,
)


@pytest.fixture
def furnished(store: Path, tmp_path: Path) -> Iterator[Callable[[tuple[MachineSpec, ...]], Room]]:
    """Racks with machines as the test wants them; taken down at the end."""
    with contextlib.ExitStack() as stack:

        def make(machines: tuple[MachineSpec, ...]) -> Room:
            there = stack.enter_context(
                scene(tmp_path, *machines, settings=_SETTINGS, artifacts=store)
            )
            for machine in there.rack.machines:
                _fill(machine, store)
            hashes = {machine.name: machine.disk_sha256() for machine in there.rack.machines}
            return Room(there, machines, hashes)

        yield make


def _fill(machine: Machine, store: Path) -> None:
    """A disk that boots, with data at its end."""
    if machine.spec.firmware == "bios":
        write_bios(machine.disk)
    else:
        write_uefi(machine.disk, store)
    with machine.disk.open("r+b") as disk:
        disk.seek(_BYTES - (4 << 20))
        disk.write(b"somebody's data " * 65536)


@pytest.mark.parametrize(
    "machines", [_BIOS, pytest.param(_UEFI, marks=pytest.mark.deep)], ids=["bios", "secureboot"]
)
def test_twenty_boots_change_no_disk(
    furnished: Callable[[tuple[MachineSpec, ...]], Room], machines: tuple[MachineSpec, ...]
) -> None:
    """Unknown, known, expired, failed, stuck, done, restored, locked: the disk boots, unchanged."""
    room = furnished(machines)
    for become in STATES:
        become(room)
        room.boot()
        room.end()
