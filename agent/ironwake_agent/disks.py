"""Which disk, and may it be written: facts in, answer out. Nothing here touches a disk.

Rules.
1. A disk that is not blank is written only if the order's `erase` names that very disk.
2. `auto` means the only disk that is fit (fixed, writable, large enough). Two fit disks are a
   question for a person: the firmware's order of disks changes, so "the first" is nobody's choice.
3. Every refusal names the disk, what is on it, and the way out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ironwake.errors import RefusedError


@dataclass(frozen=True)
class Disk:
    """One whole disk.

    `path` is the kernel's (`/dev/vda`), `links` are other names of it; `size` in bytes; `serial`
    and `wwn` may be "". `found` are short texts of what is on it ("ext4 on vda1"): none if blank.
    `unreadable` is why its contents could not be looked at, else "".
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

    @property
    def names(self) -> tuple[str, ...]:
        """All that a person may call it by."""
        return tuple(name for name in (self.serial, self.path, *self.links) if name)

    def __str__(self) -> str:
        words = [self.path, self.model, f"serial {self.serial}" if self.serial else "no serial"]
        return ", ".join(word for word in (*words, size_text(self.size)) if word)


def choose(disks: Sequence[Disk], match: str, least: int) -> Disk:
    """The disk that `match` (auto, a serial number, a path) means; RefusedError otherwise.

    :param least: bytes that the system needs
    """
    if not disks:
        raise RefusedError(
            "this machine shows no disk",
            "check cables and the controller's mode in the firmware's set-up (AHCI, not RAID)",
        )
    if match == "auto":
        return _only_fit(disks, least)
    meant = [disk for disk in disks if match in disk.names]
    if not meant:
        raise RefusedError(
            f"there is no disk {match!r} here, only {_listed(disks)}",
            "correct disk.match in the profile",
        )
    if len(meant) > 1:
        raise RefusedError(
            f"{match!r} is the serial number of several disks: {_listed(meant)}",
            "name it by its path in disk.match of the profile",
        )
    return meant[0]


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


def size_text(size: int) -> str:
    """Bytes as a person reads them: binary units, since partitions and least sizes use those."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TiB"


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


def _listed(disks: Sequence[Disk]) -> str:
    return "; ".join(str(disk) for disk in disks)
