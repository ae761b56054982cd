"""Is this the machine that was enrolled? Pure."""

from __future__ import annotations

import uuid

from ironwake.machine import Machine


def mismatch(machine: Machine, seen: dict[str, str]) -> str:
    """What differs from the enrolment, in words; "" where nothing does, or nothing can be told.

    Firmware disagrees about the byte order of the UUID's first three groups (SMBIOS 2.6 §7.2.1), so
    both orders are the same machine.
    """
    serial = seen.get("serial", "").strip()
    if machine.serial and serial and serial != machine.serial:
        return f"{machine.name} was enrolled with serial {machine.serial}, this one has {serial}"
    if not machine.uuid or not seen.get("uuid"):
        return ""
    try:
        other = uuid.UUID(seen["uuid"])
    except ValueError:
        return ""
    if machine.uuid in (str(other), str(uuid.UUID(bytes_le=other.bytes))):
        return ""
    return f"{machine.name} was enrolled with UUID {machine.uuid}, this one has {other}"
