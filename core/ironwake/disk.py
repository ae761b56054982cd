"""Which disk, and may it be written: facts in, answer out. Nothing here touches a disk.

Rules.
1. A disk that is not blank is written only if the order's `erase` names that very disk.
2. `auto` means the only disk that is fit (fixed, writable, large enough). Two fit disks are a
   question for a person: the firmware's order of disks changes, so "the first" is nobody's choice.
3. A kernel's name (`/dev/sda`) is nobody's choice either: it may be another disk after a restart.
4. Every refusal names the disk, what is on it, and the way out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ironwake.errors import InputError, RefusedError
from ironwake.sizes import octets, size_text

_STEP = "write auto, a serial number, a path such as /dev/disk/by-path/…, or as in: smallest nvme"
_RANGE = re.compile(r"(.*[BTGMKi])\.\.(.*B)", re.ASCII)


class Kind(StrEnum):
    """What a disk is made of."""

    NVME = "nvme"
    SSD = "ssd"
    HDD = "hdd"


class Pick(StrEnum):
    """Which of several that fit."""

    SMALLEST = "smallest"
    LARGEST = "largest"


class DiskMatch(str):
    """Which disk a person means.

    - `auto`: the only one that is fit
    - a serial number (`WD-1234`, or `serial:smallest` if it is called that)
    - `wwn:` and its World Wide Name
    - a path below /dev/disk, as udev makes them
    - words for its kind, its size and which of several: `smallest nvme`, `ssd 400GB..1TB`
    """

    __slots__ = ()

    def __new__(cls, text: str) -> DiskMatch:
        # A backslash at the end would join an answer file's line to the next one.
        if not text.isprintable() or not text.strip() or text.endswith("\\"):
            raise InputError(f"{text!r:.60} is not a disk", _STEP, "match")
        if text.startswith("/dev/") and not text.startswith("/dev/disk/by-"):
            raise InputError(
                f"{text!r:.60} may be another disk after the next restart",
                "name it by its serial number, or by a path below /dev/disk/by-path",
                "match",
            )
        return str.__new__(cls, text)

    @property
    def criteria(self) -> Criteria | None:
        """What it says of kind and size; None where it names one disk, or says `auto`."""
        found = Criteria()
        words = self.split()
        for word in words:
            limits = _limits(word)
            if word in tuple(Kind):
                found = Criteria(Kind(word), found.pick, found.least, found.most)
            elif word in tuple(Pick):
                found = Criteria(found.kind, Pick(word), found.least, found.most)
            elif limits:
                found = Criteria(found.kind, found.pick, *limits)
            else:
                return None
        return found if words else None


@dataclass(frozen=True)
class Criteria:
    """`least` and `most` in bytes; 0 is no bound."""

    kind: Kind | None = None
    pick: Pick | None = None
    least: int = 0
    most: int = 0


AUTO = DiskMatch("auto")


@dataclass(frozen=True)
class Part:
    """One partition that is there. `start` and `size` in bytes; `found` is what is on it."""

    number: int
    start: int
    size: int
    type: str = ""  # a GUID, or an MSDOS table's two hexadecimal digits
    uuid: str = ""
    name: str = ""
    found: str = ""


@dataclass(frozen=True)
class Disk:
    """One whole disk.

    `path` is the kernel's (`/dev/vda`), `links` are other names of it; `size` in bytes, `sector`
    its logical ones'; `serial` and `wwn` may be "". `found` are short texts of what is on it ("ext4
    on vda1"): none if blank. `unreadable` is why its contents could not be looked at, else "".
    `table` is `gpt`, `msdos` or "" where there is none that we know, and `parts` what it says.
    """

    path: str
    size: int
    model: str = ""
    serial: str = ""
    wwn: str = ""
    transport: str = ""
    removable: bool = False
    read_only: bool = False
    found: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    unreadable: str = ""
    rotates: bool = False
    sector: int = 512
    table: str = ""
    parts: tuple[Part, ...] = field(default_factory=tuple)

    @property
    def names(self) -> tuple[str, ...]:
        """All that a person may call it by."""
        return tuple(name for name in (self.serial, self.path, *self.links) if name)

    @property
    def kind(self) -> Kind:
        if self.transport == "nvme":
            return Kind.NVME
        return Kind.HDD if self.rotates else Kind.SSD

    def __str__(self) -> str:
        words = [self.path, self.model, f"serial {self.serial}" if self.serial else "no serial"]
        return ", ".join(word for word in (*words, size_text(self.size)) if word)


def choose(
    disks: Sequence[Disk], match: DiskMatch, least: int, taken: Collection[str] = ()
) -> Disk:
    """The disk that `match` means; RefusedError otherwise.

    :param least: bytes that the system needs
    :param taken: paths of those that are chosen already
    """
    if not disks:
        raise RefusedError(
            "this machine shows no disk",
            "check cables and the controller's mode in the firmware's set-up (AHCI, not RAID)",
        )
    if match == "auto":
        return _only_fit([disk for disk in disks if disk.path not in taken], least)
    if criteria := match.criteria:
        return _by_criteria([disk for disk in disks if disk.path not in taken], criteria, least)
    meant = [disk for disk in disks if _is_called(disk, match)]
    if not meant:
        raise RefusedError(
            f"there is no disk {str(match)!r} here, only {_listed(disks)}",
            "correct disk.match in the profile",
        )
    if len(meant) > 1:
        raise RefusedError(
            f"{str(match)!r} is the serial number of several disks: {_listed(meant)}",
            "name it by its path in disk.match of the profile",
        )
    if meant[0].path in taken:
        raise RefusedError(
            f"disk {meant[0]} is meant twice", "correct the matches of the profile's disks"
        )
    return meant[0]


def named(disks: Sequence[Disk], names: Sequence[str]) -> tuple[Disk, ...]:
    """Exactly the disks that are called so, one for each name, none twice; else RefusedError."""
    chosen: list[Disk] = []
    for name in names:
        match = DiskMatch(name)
        if match == AUTO or match.criteria:
            raise RefusedError(f"{name!r:.60} names no single disk", "give its serial number")
        disk = choose(disks, match, 0)
        if disk not in chosen:
            chosen.append(disk)
    return tuple(chosen)


def guard(disk: Disk, erase: Sequence[str], least: int) -> None:
    """Refuse a disk that must not, or cannot, be written.

    :param erase: names (serial or path) of the disks whose contents may go
    """
    if disk.read_only:
        raise RefusedError(f"disk {disk} is write-protected", "remove the protection")
    if disk.unreadable:
        raise RefusedError(
            f"disk {disk} cannot be read, so nobody knows what is on it: {disk.unreadable}",
            "replace the disk, or name another one in disk.match of the profile",
        )
    if disk.size < least:
        raise RefusedError(
            f"disk {disk} is too small: the system needs {size_text(least)},"
            f" it has {size_text(disk.size)}",
            "name a larger one in disk.match of the profile",
        )
    if disk.found and not any(name in disk.names for name in erase):
        named = f"; you named {', '.join(erase)} only" if erase else ""
        raise RefusedError(
            f"disk {disk} is not blank: {', '.join(disk.found)}{named}",
            f"if all of that may go, deploy again with --erase {disk.serial or disk.path}",
        )


def confirm(chosen: Disk, now: Sequence[Disk]) -> None:
    """Refuse when the disk chosen is not, byte for byte of what we know, the disk that is there."""
    same = next((disk for disk in now if disk.path == chosen.path), None)
    if same is None:
        raise RefusedError(f"disk {chosen} has vanished", "check its cable, then deploy again")
    if same != chosen:
        raise RefusedError(
            f"disk {chosen} has changed since it was chosen: now it is {same}"
            f" with {', '.join(same.found) or 'nothing'} on it",
            "find out who else writes to it, then deploy again",
        )


def _only_fit(disks: Sequence[Disk], least: int) -> Disk:
    fit = [disk for disk in disks if not _unfit(disk, least)]
    if len(fit) == 1:
        return fit[0]
    if fit:
        raise RefusedError(
            f"{len(fit)} disks are fit, and auto takes one only if it is the only one:"
            f" {_listed(fit)}",
            "name one by its serial number or path in disk.match of the profile",
        )
    why = "; ".join(f"{disk}: {_unfit(disk, least)}" for disk in disks)
    raise RefusedError(f"no disk is fit: {why}", "attach one, or name one in disk.match")


def _unfit(disk: Disk, least: int) -> str:
    """Why `auto` does not take it, or ""."""
    if disk.removable:
        return "it is removable"
    if disk.transport == "usb":
        return "it is on USB"
    if disk.read_only:
        return "it is write-protected"
    if disk.size < least:
        return f"it is too small, {size_text(least)} are needed"
    return ""


def _limits(word: str) -> tuple[int, int] | None:
    """`400GB..1TB` in bytes, or None."""
    match = _RANGE.fullmatch(word)
    try:
        return (octets(match[1]), octets(match[2])) if match else None
    except InputError:
        return None


def _is_called(disk: Disk, match: DiskMatch) -> bool:
    key, _, value = match.partition(":")
    if key == "serial" and value:
        return disk.serial == value
    if key == "wwn" and value:
        return disk.wwn == value
    return match in disk.names


def _by_criteria(disks: Sequence[Disk], wanted: Criteria, least: int) -> Disk:
    why = {disk: _unfit(disk, least) or _unlike(disk, wanted) for disk in disks}
    fit = [disk for disk in disks if not why[disk]]
    if not fit:
        told = "; ".join(f"{disk}: {reason}" for disk, reason in why.items())
        raise RefusedError(
            f"no disk is as wanted: {told or 'all are taken'}", "correct disk.match in the profile"
        )
    if wanted.pick is None and len(fit) > 1:
        raise RefusedError(
            f"{len(fit)} disks are as wanted: {_listed(fit)}",
            "say smallest or largest in disk.match, or name one by its serial number",
        )
    # Of equals the serial number decides, which no restart changes.
    smallest = wanted.pick is not Pick.LARGEST
    return min(fit, key=lambda disk: (disk.size if smallest else -disk.size, disk.serial))


def _unlike(disk: Disk, wanted: Criteria) -> str:
    if wanted.kind and disk.kind is not wanted.kind:
        return f"it is of kind {disk.kind}"
    if disk.size < wanted.least:
        return f"it is smaller than {size_text(wanted.least)}"
    if wanted.most and disk.size > wanted.most:
        return f"it is larger than {size_text(wanted.most)}"
    return ""


def _listed(disks: Sequence[Disk]) -> str:
    return "; ".join(str(disk) for disk in disks)
