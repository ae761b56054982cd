"""Is this the machine that was enrolled? Pure."""

from __future__ import annotations

from ironwake.errors import InputError
from ironwake.machine import Machine, MachineUuid


def mismatch(machine: Machine, seen: dict[str, str]) -> str:
    """What differs from the enrolment, in words; "" where nothing does, or nothing can be told."""
    serial = seen.get("serial", "").strip()
    if machine.serial and serial and serial != machine.serial:
        return f"{machine.name} was enrolled with serial {machine.serial}, this one has {serial}"
    if not machine.uuid or not seen.get("uuid"):
        return ""
    try:
        other = MachineUuid(seen["uuid"])
    except InputError:
        return ""
    if other.is_same(machine.uuid):
        return ""
    return f"{machine.name} was enrolled with UUID {machine.uuid}, this one has {other}"
