"""Is this the machine that is meant? Pure."""

from __future__ import annotations

from dataclasses import replace

from ironwake.errors import InputError
from ironwake.machine import Machine, MachineUuid
from ironwake.memory import Memory


def mismatch(machine: Machine, memory: Memory, begun: str, seen: dict[str, str]) -> str:
    """What differs from what is known, in words; "" where nothing does, or nothing can be told.

    :param begun: the UUID of who was offered the deployment first, "" where nobody was
    """
    serial = seen.get("serial", "").strip()
    if machine.serial and serial and serial != machine.serial:
        return f"{machine.name} was enrolled with serial {machine.serial}, this one has {serial}"
    other = uuid_of(seen)
    for known, how in (
        (machine.uuid, "was enrolled with"),
        ("" if machine.uuid else memory.uuid, "was known by"),
        (begun, "began this deployment with"),
    ):
        if known and other and not MachineUuid(known).is_same(other):
            return f"{machine.name} {how} UUID {known}, this one has {other}"
    return ""


def is_serial(held: str) -> bool:
    """Whether it was another serial number that held something back: no UUID explains that.

    By the words of `mismatch` in front of what a machine said, which may be any text.
    """
    return held.partition(" ")[2].startswith("was enrolled with serial ")


def noted(machine: Machine, memory: Memory, seen: dict[str, str]) -> Memory:
    """What is remembered once somebody was seen: another UUID, for a person to judge."""
    uuid, known = uuid_of(seen), machine.uuid or memory.uuid
    if known and uuid and not MachineUuid(known).is_same(uuid):
        return replace(memory, seen_uuid=uuid)
    return memory


def uuid_of(seen: dict[str, str]) -> str:
    """The UUID that a machine told of itself, "" where it told none."""
    try:
        return MachineUuid(seen["uuid"]) if seen.get("uuid") else ""
    except InputError:
        return ""
