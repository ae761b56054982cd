"""What `ironwake doctor` looks at: one finding each, in plain words, with what to do.

Checks are given what they judge, and judge only that.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from ironwake.errors import IronwakeError
from ironwake.site import ForeignServer

_LEAST_FREE = 5_000_000_000  # bytes: one medium and what building it needs
_PER_MACHINE = 2  # neighbours: the kernel forgets some long before its table is full
_NOT_BEFORE = 2026  # no clock that is right shows an earlier year


class Grade(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """`check` is its name, `says` one sentence, `fix` what to do ("" where nothing is to do)."""

    check: str
    grade: Grade
    says: str
    fix: str = ""


def fine(check: str, says: str) -> Finding:
    return Finding(check, Grade.OK, says)


def fault(check: str, error: IronwakeError) -> Finding:
    """A fault as an error tells it."""
    where = f"{error.where}: " if error.where else ""
    return Finding(check, Grade.FAULT, f"{where}{error.what}", error.next_step)


def link(name: str, up: bool, running: bool) -> Finding:
    """`up`: it is switched on; `running`: its cable leads to something that is on, too."""
    if not up:
        step = f"switch it on with: ip link set {name} up"
        return Finding("link", Grade.FAULT, f"the network interface {name} is off", step)
    if not running:
        step = "plug in its cable, and see that the switch is on"
        return Finding("link", Grade.FAULT, f"the network interface {name} has no link", step)
    return fine("link", f"the network interface {name} has a link")


def segment(heard: Iterable[ForeignServer], mode: str, interface: str) -> Finding:
    """Others that answered a network boot.

    :param mode: our DHCP mode; `beside` is mode server where another server is meant to be there
    """
    answers = tuple(heard)
    booters = [one for one in answers if one.boots]
    if booters:
        names = ", ".join(f"{one.address} ({one.boot_file or 'no file'})" for one in booters)
        return Finding(
            "boot servers",
            Grade.FAULT,
            f"another boot server answers on {interface}: {names}",
            "switch its network boot off (options 66 and 67, next-server, filename): machines take "
            "the answer that they like better",
        )
    givers = [one.address for one in answers if one.gives_address]
    if mode == "server" and givers:
        return Finding(
            "boot servers",
            Grade.FAULT,
            f"another DHCP server gives addresses on {interface}: {', '.join(givers)}",
            "set IRONWAKE_DHCP_MODE=proxy, or IRONWAKE_DHCP_BESIDE=yes where both are meant",
        )
    if mode == "proxy" and not givers:
        return Finding(
            "boot servers",
            Grade.FAULT,
            f"no DHCP server answers on {interface}, and mode proxy gives no addresses",
            "start that network's DHCP server, or set IRONWAKE_DHCP_MODE=server and a pool",
        )
    with_whom = f"; addresses come from {', '.join(givers)}" if givers else ""
    return fine("boot servers", f"no other boot server answers on {interface}{with_whom}")


def neighbours(machines: int, room: int | None, more: str) -> Finding:
    """`room`: what the kernel's ARP table has, None where it does not tell; `more`: how to make it.

    :param machines: enrolled, or the addresses that we may give, on our own network
    """
    if room is None:
        return fine("neighbours", "the kernel does not tell how many neighbours it keeps")
    text = f"the kernel's ARP table has room for {room} neighbours"
    if room < _PER_MACHINE * machines:
        says = f"{text}, and {machines} machines may come: those beyond find no server"
        return Finding("neighbours", Grade.WARNING, says, f"run: {more}")
    return fine("neighbours", text)


def docker(system: str) -> Finding:
    """`system` is Docker's own word for where it runs, "" without Docker."""
    if "Desktop" in system:
        return Finding(
            "docker",
            Grade.FAULT,
            "Docker Desktop runs containers in a virtual machine, where no broadcast of your "
            "network arrives",
            "use the Docker Engine of a Linux system, or run 'ironwake serve' without containers",
        )
    return fine("docker", f"Docker runs on {system}" if system else "Docker is not used here")


def artifacts(present: Sequence[str], needed: Sequence[str], any_media: bool) -> Finding:
    """`present` and `needed` are manifest names."""
    missing = [name for name in needed if name not in present]
    if not missing and any_media:
        return fine("artifacts", f"there are {', '.join(present)}")
    what = ", ".join(missing) or "an operating system"
    add = " ".join(missing) + ("" if any_media else " debian-12")
    step = f"run: ironwake media add {add.strip()}"
    return Finding("artifacts", Grade.FAULT, f"not built yet: {what}", step)


def secrets(folder: Path) -> Finding:
    """Are the tokens for their owner's eyes only?"""
    if not folder.is_dir():
        return fine("secrets", f"there are no secrets yet in {folder}; the first start makes them")
    try:
        open_ones = [p for p in (folder, *sorted(folder.iterdir())) if p.stat().st_mode & 0o077]
    except PermissionError:
        return Finding(
            "secrets", Grade.WARNING, f"{folder} is not for this user", "run as root to check it"
        )
    if open_ones:
        modes = ", ".join(f"{p} ({stat.S_IMODE(p.stat().st_mode):04o})" for p in open_ones)
        return Finding(
            "secrets",
            Grade.FAULT,
            f"other users may read {modes}",
            f"run: chmod -R go= {folder}; and make new tokens by deleting these and starting anew",
        )
    return fine("secrets", f"only their owner may read the tokens in {folder}")


def room(folder: Path, free: int) -> Finding:
    """`free` bytes are left where artifacts are kept."""
    text = f"{free / 1e9:.1f} GB are free for artifacts in {folder}"
    if free < _LEAST_FREE:
        step = "free some, or set IRONWAKE_ARTIFACTS_DIR to a larger disk"
        return Finding("room", Grade.WARNING, text, step)
    return fine("room", text)


def clock(now: datetime, synchronised: bool) -> Finding:
    """The logs and, more so, the signatures of package lists need the right time."""
    step = "start a time service, such as: apt install systemd-timesyncd"
    if now.year < _NOT_BEFORE:
        return Finding("clock", Grade.FAULT, f"the clock says {now:%Y-%m-%d %H:%M}", step)
    if not synchronised:
        text = f"nothing keeps the clock right; it says {now:%Y-%m-%d %H:%M} UTC"
        return Finding("clock", Grade.WARNING, text, step)
    return fine("clock", "the clock is synchronised")


def attempt(check: str, look: Callable[[], Finding]) -> Finding:
    """A check whose looking may fail: the error is the finding."""
    try:
        return look()
    except IronwakeError as error:
        return fault(check, error)
