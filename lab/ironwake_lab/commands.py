"""What `ironwake lab …` calls: plain functions by rack name; parsing words is not done here."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ironwake.errors import InputError, IronwakeError, RefusedError, UnknownError
from ironwake_lab import qmp
from ironwake_lab.host import need_root
from ironwake_lab.machine import Machine
from ironwake_lab.rack import STATE, Rack
from ironwake_lab.spec import RackSpec

ACTIONS = ("on", "off", "reset", "shutdown", "status")
_LEAVE = b"\x1d"  # Ctrl-]
_CHUNK = 4096


@dataclass(frozen=True)
class Listed:
    """One machine's line in a listing; `state` is `off` or QEMU's run state."""

    rack: str
    machine: str
    mac: str
    firmware: str
    state: str
    directory: str


def up(spec: RackSpec, directory: Path | None = None) -> Rack:
    """Raise a rack (`Rack.up`)."""
    return Rack.up(spec, directory)


def attach(name: str, directory: Path | None = None) -> Rack:
    """The rack of this name that is up; UnknownError, with the names there are."""
    need_root()
    try:
        return Rack.attach(directory or STATE / name)
    except UnknownError as error:
        others = ", ".join(_names()) or "none"
        raise UnknownError(f"no rack {name!r} is up", f"up are: {others}", "rack") from error


def down(name: str, directory: Path | None = None) -> None:
    """Take a rack down and remove all that belongs to it."""
    attach(name, directory).down()


def power(name: str, machine: str, action: str, directory: Path | None = None) -> str:
    """Do one of ACTIONS and return the state after it, as `Machine.status` tells it."""
    if action not in ACTIONS:
        raise InputError(
            f"{action!r} is nothing that a power panel does",
            f"use one of: {', '.join(ACTIONS)}",
            "action",
        )
    one = attach(name, directory).machine(machine)
    deeds: dict[str, Callable[[], object]] = {
        "on": one.power_on,
        "off": one.power_off,
        "reset": one.reset,
        "shutdown": one.shut_down,
        "status": one.status,
    }
    deeds[action]()
    return one.status()


def listing() -> list[Listed]:
    """All machines of all racks in the default place."""
    need_root()
    lines = []
    for name in _names():
        rack = Rack.attach(STATE / name)
        for machine in rack.machines:
            what = (name, machine.name, machine.mac, machine.spec.firmware, _state(machine))
            lines.append(Listed(*what, str(rack.directory)))
    return lines


def exec_in(name: str, argv: list[str], directory: Path | None = None) -> int:
    """Run a command in the rack's namespace on this terminal; returns its exit code."""
    if not argv:
        raise InputError("no command given", "write it after the rack's name", "command")
    rack = attach(name, directory)
    code = rack.run(argv, capture_output=False, check=False).returncode
    return code if code >= 0 else 128 - code  # as a shell tells of a signal


def console(name: str, machine: str) -> None:
    """Put this terminal on the machine's serial line until Ctrl-] or until it goes off."""
    one = attach(name).machine(machine)
    if not one.is_on:
        raise RefusedError(
            f"machine {machine} is off", f"switch it on: ironwake lab power {name} {machine} on"
        )
    if not sys.stdin.isatty():
        raise RefusedError("the console needs a terminal", f"or read the log: {one.serial_log}")
    keyboard, screen = sys.stdin.fileno(), sys.stdout.fileno()
    before = termios.tcgetattr(keyboard)
    try:
        tty.setraw(keyboard)
        converse(one.paths.serial, keyboard, screen)
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def converse(serial: Path, keyboard: int, screen: int) -> None:
    """Copy both ways between two descriptors and a serial socket, until Ctrl-] or either end."""
    with qmp.connect(serial) as line:
        while True:
            ready = select.select([keyboard, line.fileno()], [], [])[0]
            if line.fileno() in ready:
                told = line.recv(_CHUNK)
                if not told:
                    return
                _write_all(screen, told)
            if keyboard in ready:
                typed = os.read(keyboard, _CHUNK)
                before, leave, _ = typed.partition(_LEAVE)
                line.sendall(before)
                if leave or not typed:
                    return


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _names() -> list[str]:
    return sorted(path.parent.name for path in STATE.glob("*/rack.json"))


def _state(machine: Machine) -> str:
    try:
        return machine.status()
    except IronwakeError:  # it went off while it was asked
        return "off"
