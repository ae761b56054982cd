"""The partition table as sfdisk takes it, and whether a disk has it already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ironwake.disk import Disk
from ironwake.layout.extents import Extent, is_logical
from ironwake.layout.identity import Identity
from ironwake.layout.model import DiskLayout, Format, Role, Table
from ironwake.sizes import MIB

# (GPT, MSDOS). By number, not by sfdisk's names: those differ between its versions. GPT's are of
# the UEFI and the Discoverable Partitions specifications.
_LINUX = ("0FC63DAF-8483-4772-8E79-3D69D8477DE4", "83")
_SWAP = ("0657FD6D-A4AB-43C4-84E5-0933C84B4F4F", "82")
_RAID = ("A19D880F-05FC-4D3B-A006-743F0F84911E", "fd")
_LVM = ("E6D6D379-F507-44C2-A23C-238F2A3DF928", "8e")
_LUKS = ("CA7D7CCB-63ED-4C53-861C-1742536059CC", "83")
_ESP = ("C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "ef")
_BIOS_BOOT = ("21686148-6449-6E6F-744E-656564454649", "")
_EXTENDED = "5"
# by `uname -m`
_ROOTS = {
    "x86_64": "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
    "aarch64": "B921B045-1DF0-41C3-AF44-4C6F280D3FAE",
}


@dataclass(frozen=True)
class Users:
    """What stands on partitions: references of those that belong to an array, and to a group."""

    arrays: frozenset[str]
    groups: frozenset[str]


def types(
    wanted: DiskLayout, places: Sequence[Extent], users: Users, machine: str
) -> dict[int, str]:
    """Number → type, as the table writes it; what is kept keeps its own.

    :param machine: as `uname -m` says it
    """
    return {
        one.number: one.kept.type if one.kept else _type(wanted, one, users, machine)
        for one in places
    }


def script(
    wanted: DiskLayout,
    disk: Disk,
    places: Sequence[Extent],
    kinds: Mapping[int, str],
    identity: Identity,
) -> str:
    """sfdisk's input."""
    lines = [f"label: {'gpt' if wanted.table is Table.GPT else 'dos'}", "unit: sectors"]
    if wanted.table is Table.GPT:
        # What is kept may stand before the first MiB: other installers begin there.
        first = min(MIB, *(one.start for one in places)) // disk.sector
        lines += [f"label-id: {identity.of(wanted.name)}", f"first-lba: {first}"]
    logical = [one for one in places if is_logical(wanted, one.number)]
    for one in places:
        if logical and one is logical[0]:
            lines.append(_extended(disk, logical))
        words = [f"start={one.start // disk.sector}", f"size={one.size // disk.sector}"]
        words.append(f"type={kinds[one.number]}")
        if wanted.table is Table.GPT:
            uuid = one.kept.uuid if one.kept else identity.of(wanted.name, one.partition.name)
            words += [f"uuid={uuid}", f'name="{one.partition.name}"']
        lines.append(", ".join(words))
    return "".join(f"{line}\n" for line in lines)


def is_there(
    wanted: DiskLayout, disk: Disk, places: Sequence[Extent], kinds: Mapping[int, str]
) -> bool:
    """Whether the disk's table says all of this already, and nothing else."""
    if disk.table != wanted.table:
        return False
    there = {
        part.number: (part.start, part.size, part.type.lower(), part.name)
        for part in disk.parts
        if part.type.lower() not in ("5", "f", "85")
    }
    named = wanted.table is Table.GPT
    return there == {
        one.number: (
            one.start,
            one.size,
            kinds[one.number].lower(),
            str(one.partition.name) if named else "",
        )
        for one in places
    }


def _extended(disk: Disk, logical: Sequence[Extent]) -> str:
    start, end = logical[0].start - MIB, logical[-1].end
    size = (end - start) // disk.sector
    return f"start={start // disk.sector}, size={size}, type={_EXTENDED}"


def _type(wanted: DiskLayout, one: Extent, users: Users, machine: str) -> str:
    gpt = wanted.table is Table.GPT
    part = one.partition
    reference = f"{wanted.name}/{part.name}"
    if part.mount == "/" and not part.encrypt and gpt and machine in _ROOTS:
        return _ROOTS[machine]
    kind = _LINUX
    if part.role is Role.ESP:
        kind = _ESP
    elif part.role is Role.BIOS_BOOT:
        kind = _BIOS_BOOT
    elif part.encrypt:
        kind = _LUKS
    elif reference in users.arrays:
        kind = _RAID
    elif reference in users.groups:
        kind = _LVM
    elif part.format is Format.SWAP:
        kind = _SWAP
    return kind[0 if gpt else 1]
