"""Twenty boots of real machines, network first, in every state but an arm that lives.

Four machines stand side by side, for most of a boot in vain is waiting. The states are made as a
person and an installer make them: by the API, by time, and by what an agent would report. Each boot
ends at the disk's own words, and the disk is as it was.
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
_FOUR = range(1, 5)
_BIOS = tuple(node(n, firmware="bios", disk_bytes=_BYTES, memory_mb=256) for n in _FOUR)
_UEFI = tuple(node(n, firmware="uefi-secureboot", disk_bytes=_BYTES, memory_mb=512) for n in _FOUR)
# A claimed machine that says nothing for three seconds is stuck.
_SETTINGS = {"IRONWAKE_DEADLINE_SCALE": "0.01"}
_SECONDS = 120.0
Names = tuple[str, ...]
Become = Callable[["Room", Names], None]


@dataclass
class Room:
    """Machines with data on their disks, and the appliance beside them."""

    there: Scene
    machines: tuple[MachineSpec, ...]
    hashes: dict[str, str]

    def api(self, method: str, path: str, body: Any = None) -> Any:
        return self.there.appliance.api(method, path, body)

    def arm(self, names: Names, minutes: float = 60.0) -> list[str]:
        """The deployments' ids."""
        return [self.there.deploy(name, wake=False, minutes=minutes) for name in names]

    def secrets(self, name: str) -> tuple[str, str]:
        """A deployment's token and health token, as the services know them."""
        token = (self.there.state / "secrets" / "service.token").read_text().strip()
        words = ["curl", "-fsS", "-H", f"Authorization: Bearer {token}"]
        url = f"{self.there.appliance.url}/internal/view?after=-1"
        view = json.loads(self.there.rack.run([*words, url]).stdout)
        found = next(e["deployment"] for e in view["entries"] if e["machine"]["name"] == name)
        return found["token"], found["health_token"]

    def say(self, path: str, *words: str) -> None:
        """As the agent does, from inside the rack."""
        url = f"http://{self.there.appliance.address}/{path}"
        self.there.rack.run(["curl", "-fsS", "--max-time", "60", *words, url])

    def claim(self, names: Names) -> list[tuple[str, str]]:
        """They have taken their orders; their tokens."""
        self.arm(names)
        self.there.appliance.settle()
        tokens = [self.secrets(name) for name in names]
        for token, _ in tokens:
            self.say(f"deployments/{token}/order", "-H", "X-Ironwake-Boot: played")
        return tokens

    def end(self) -> None:
        """Whatever lives is cancelled."""
        for one in self.api("GET", "/v1/deployments")["items"]:
            if not one["over"]:
                self.api("POST", f"/v1/deployments/{one['id']}/cancel")

    def states(self, names: Names) -> set[str]:
        return {self.api("GET", f"/v1/machines/{name}")["state"] for name in names}

    def boot(self) -> None:
        """All at once, network first, until their disks speak: not a bit is another one."""
        self.there.appliance.settle()
        machines = [self.there.rack.machine(spec.name) for spec in self.machines]
        marks = [machine.serial_mark() for machine in machines]
        try:
            for machine in machines:
                machine.power_on()
            for machine, mark in zip(machines, marks, strict=True):
                machine.wait_serial(BOOTED, BOOT_SECONDS, since=mark)
        finally:
            for machine in machines:
                machine.power_off()
        for machine in machines:
            assert machine.disk_sha256() == self.hashes[machine.name]


def _unknown(room: Room, names: Names) -> None:
    known = {one["name"] for one in room.api("GET", "/v1/machines")["items"]}
    assert not known & set(names)


def _known(room: Room, names: Names) -> None:
    for machine in room.machines:
        if machine.name in names:
            room.there.enrol(machine)


def _expired(room: Room, names: Names) -> None:
    for identity in room.arm(names, minutes=0.02):
        room.there.appliance.wait_deployment(identity, {"expired"}, _SECONDS)


def _failed(room: Room, names: Names) -> None:
    for token, _ in room.claim(names):
        room.say(f"deployments/{token}/callbacks", "-d", '{"stage": "failed"}')
    assert room.states(names) == {"failed"}


def _stuck(room: Room, names: Names) -> None:
    room.claim(names)
    for name in names:
        identity = room.api("GET", f"/v1/machines/{name}")["deployment"]["id"]
        room.there.appliance.wait_event(identity, lambda e: bool(e["kind"] == "stuck"), _SECONDS)
    assert room.states(names) == {"answers"}


def _done(room: Room, names: Names) -> None:
    for token, health in room.claim(names):
        for stage in ("installing", "installed"):
            room.say(f"deployments/{token}/callbacks", "-d", json.dumps({"stage": stage}))
        room.say(f"health/{health}", "-d", "{}")
    assert room.states(names) == {"succeeded"}


def _locked(room: Room, names: Names) -> None:
    room.arm(names)
    for name in names:
        room.api("POST", f"/v1/machines/{name}/lock")


def _restored(room: Room, names: Names) -> None:
    """The database alone, from a copy that was made while they were armed."""
    room.arm(names)
    database, aside = room.there.state / "ironwake.sqlite", room.there.state.parent / "copy.sqlite"
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(aside)) as target:
        source.backup(target)
    room.there.appliance.stop()
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    shutil.copy(aside, database)
    room.there.appliance.start()
    assert room.states(names) == {"expired"}


def _restored_whole(room: Room, names: Names) -> None:
    """The whole state folder, with the services' views in which they are armed."""
    room.arm(names)
    room.there.appliance.settle()
    state, aside = room.there.state, room.there.state.parent / "copy"
    shutil.copytree(state, aside)
    room.there.appliance.stop()
    shutil.rmtree(state)
    shutil.copytree(aside, state)
    room.there.appliance.start()
    assert room.states(names) == {"expired"}


# What the first two machines become before a boot, and then the others.
ROUNDS: tuple[tuple[Become, Become], ...] = (
    (_unknown, _known),
    (_known, _expired),
    (_failed, _stuck),
    (_restored, _done),
    (_restored_whole, _locked),
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
    names = tuple(machine.name for machine in machines)
    for first, then in ROUNDS:
        first(room, names[:2])
        then(room, names[2:])
        room.boot()
        room.end()
