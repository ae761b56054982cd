"""After the kernel: the ramdisk's agent, and the system that it installed. Pure.

The order of things, the repeats and their pauses are the agent's own (`ironwake_agent`).
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from ironwake import routes
from ironwake_lab.storm import roms
from ironwake_lab.storm.dhcp import lend
from ironwake_lab.storm.machine import (
    Answer,
    BootFailedError,
    Heard,
    InstallEndedError,
    Life,
    Machine,
    Mark,
)

_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)  # seconds between repeats, the last again and again
_MOST_TRIES = 60
_KERNEL_START, _RESTART = 5.0, 8.0  # seconds: kernel and ramdisk; shutting down, firmware, disk
_STEPS = (("partitioning", 0.0), ("formatting", 3.0), ("unpacking", 6.0))
_AGENT = (("User-Agent", "Python-urllib/3.11"), ("Connection", "close"))
_JSON = (*_AGENT, ("Content-Type", "application/json"))


def install(machine: Machine, arguments: dict[str, str]) -> Life[None]:
    """From the kernel's start to the installed system's health report."""
    url, token = arguments.get("ironwake.url", ""), arguments.get("ironwake.token", "")
    if not url or not token:
        raise BootFailedError("the kernel's command line names no appliance")
    yield from machine.think(_KERNEL_START)
    machine.forget_network()
    yield from lend(machine, roms.UDHCPC)
    callbacks = routes.callbacks(url, token)
    yield from _tell(machine, callbacks, {"stage": "facts", "facts": _facts(machine)})
    order = yield from _claim(machine, routes.order(url, token))
    machine.mark(Mark.CLAIMED)
    yield from _write(machine, order, callbacks)
    yield from _tell(machine, callbacks, {"stage": "installed", "percent": 100.0})
    machine.mark(Mark.INSTALLED)
    yield from machine.think(_RESTART)
    machine.forget_network()
    yield from lend(machine, roms.INSTALLED)
    report = {"hostname": machine.name, "system": "Debian GNU/Linux 12 (bookworm)"}
    yield from _until_heard(machine, order["health"], json.dumps(report).encode(), "health")
    machine.mark(Mark.SUCCEEDED)
    yield from _ask_again(machine, routes.order(url, token))


def _facts(machine: Machine) -> dict[str, str]:
    return {
        "uuid": str(machine.uuid),
        "firmware": "uefi" if machine.kind.startswith("uefi") else "bios",
        "architecture": "x86_64",
        "disk0": f"/dev/vda, serial disk-{machine.name}, 4 GiB, blank",
    }


# -- the claim -------------------------------------------------------------------------------------


def _claim(machine: Machine, url: str) -> Life[dict[str, Any]]:
    """The order; now and then asked for by two boots at once, of which one may get it."""
    boots = [_boot_id(machine)]
    if machine.chance.random() < machine.habits.rivals:
        boots.append(_boot_id(machine))
    order: dict[str, Any] | None = None
    refused = ""
    for attempt in range(_MOST_TRIES):
        numbers: dict[int, str] = {}
        for one in boots:
            number = yield from machine.ask("GET", url, (*_AGENT, (routes.BOOT_HEADER, one)))
            numbers[number] = one
        boots = []
        while numbers:
            answer = yield from machine.wait(machine.now + 3600, Answer)
            if answer is None or answer.number not in numbers:
                continue
            one = numbers.pop(answer.number)
            if answer.is_ok:
                machine.history.granted.add(one)
                order = _order(answer)
            elif answer.is_passing:
                boots.append(one)
            else:
                refused = _words(answer)
        if not boots:
            break
        yield from machine.sleep(_pause(attempt))
    if order is None:
        raise InstallEndedError(f"no order: {refused or 'no answer'}")
    if refused:
        machine.history.refused_again += 1
    return order


def _order(answer: Answer) -> dict[str, Any]:
    try:
        order: dict[str, Any] = json.loads(answer.body)
        return {"health": str(order["health"]), "archive": str(order["archive"]["url"])}
    except (ValueError, KeyError, TypeError):
        raise InstallEndedError("the order cannot be read") from None


def _boot_id(machine: Machine) -> str:
    return str(uuid.UUID(int=machine.chance.getrandbits(128), version=4))


def _ask_again(machine: Machine, url: str) -> Life[None]:
    """A later boot that still has the token: it must not be given anything."""
    one = _boot_id(machine)
    for attempt in range(_MOST_TRIES):
        answer = yield from machine.fetch("GET", url, (*_AGENT, (routes.BOOT_HEADER, one)))
        if answer.is_ok:
            machine.history.granted.add(one)
        if not answer.is_passing:
            machine.history.refused_again += not answer.is_ok
            return
        yield from machine.sleep(_pause(attempt))


# -- writing and reporting -------------------------------------------------------------------------


def _write(machine: Machine, order: dict[str, Any], callbacks: str) -> Life[None]:
    """Report, fetch the archive, report: as many times as the storm wants it."""
    wanted = machine.habits.reports
    spacing = machine.habits.spacing
    yield from machine.sleep(machine.chance.random() * spacing, 0.0)
    began = machine.now
    for number in range(wanted):
        step, percent = _STEPS[min(number, len(_STEPS) - 1)]
        percent = max(percent, round(98.0 * number / wanted, 1))
        # Every report is news, so that each of them can be looked for in the history.
        message = f"report {number + 1} of {wanted}"
        said = {"stage": "installing", "step": step, "percent": percent, "message": message}
        yield from _tell(machine, callbacks, said)
        if number == min(1, wanted - 1):
            yield from _archive(machine, order["archive"])
        # By the clock, not by pauses: a rate that was asked for is kept, if the appliance can.
        if (left := began + (number + 1) * spacing - machine.now) > 0:
            yield from machine.sleep(left, 0.0)


def _archive(machine: Machine, url: str) -> Life[None]:
    for attempt in range(_MOST_TRIES):
        got = yield from machine.fetch("GET", url, _AGENT, most=machine.habits.most)
        if got.is_ok:
            return
        if not got.is_passing:
            raise InstallEndedError(f"the archive: {_words(got)}")
        yield from machine.sleep(_pause(attempt))
    raise InstallEndedError("the archive was not to be had")


def _tell(machine: Machine, url: str, said: dict[str, Any]) -> Life[None]:
    body = json.dumps({**said, "id": f"{machine.chance.getrandbits(128):032x}"}).encode()
    yield from _until_heard(machine, url, body, said.get("message") or said["stage"])


def _until_heard(machine: Machine, url: str, body: bytes, what: str) -> Life[None]:
    """Repeat a report until it is heard; its id counts once."""
    for attempt in range(_MOST_TRIES):
        asked = machine.now
        answer = yield from machine.fetch("POST", url, _JSON, body)
        if answer.is_ok:
            machine.history.heard.append(Heard(what, machine.now, machine.now - asked))
            return
        if not answer.is_passing:
            machine.history.unheard.append(what)
            raise InstallEndedError(f"{what} was refused: {_words(answer)}")
        yield from machine.sleep(_pause(attempt), 0.1)
    machine.history.unheard.append(what)
    raise InstallEndedError(f"{what} was never heard")


def _pause(attempt: int) -> float:
    return _PAUSES[min(attempt, len(_PAUSES) - 1)]


def _words(answer: Answer) -> str:
    said = answer.body.decode("utf-8", "replace").strip().partition("\n")[0][:200]
    return f"HTTP {answer.status} {said}".strip()
