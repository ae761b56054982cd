"""A profile: what a machine shall become. People keep it as a YAML file in git.

release: debian-12
method: archive            # or script: the vendor's installer with an answer file
disk:
  match: auto              # or a serial number, or a path such as /dev/disk/by-path/…
user:
  name: admin
  ssh_keys: ["ssh-ed25519 AAAA… me@laptop"]
parameters: {timezone: Europe/Berlin}
boot_order: keep           # or disk-first, network-first: what the firmware's is made to be
expected_reboots: 0        # how often the installer itself restarts the machine
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from ironwake import release as releases
from ironwake.errors import InputError
from ironwake.names import KernelWord, UserName

_HASH = re.compile(r"\$(?:5|6|y|2b)\$[./A-Za-z0-9$=,]{20,200}", re.ASCII)
_KEY = re.compile(
    r"(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp\d+|sk-[a-z0-9@.-]+) [A-Za-z0-9+/=]{16,}( [^\n\r]*)?"
)
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,2}", re.ASCII)
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+", re.ASCII)
_MOST_REBOOTS = 20
_LOCALE = re.compile(r"[A-Za-z]{1,8}(?:_[A-Z]{2})?(?:\.[A-Za-z0-9-]+)?", re.ASCII)


class Method(StrEnum):
    """How an operating system gets on a disk."""

    SCRIPT = "script"
    ARCHIVE = "archive"


@dataclass(frozen=True)
class Disk:
    """Which disk: `auto` (the only one that is fit), a serial number, or a path under /dev."""

    match: str = "auto"

    def __post_init__(self) -> None:
        # A backslash at the end would join an answer file's line to the next one.
        if not self.match.isprintable() or not self.match.strip() or self.match.endswith("\\"):
            raise InputError(
                f"{self.match!r:.60} is not a disk",
                "write auto, a serial number, or a path such as /dev/disk/by-path/…",
                "match",
            )


@dataclass(frozen=True)
class User:
    """The administrator's account: sudo without a password, login by these keys.

    `password_hash` is crypt(5) text (`$6$…`, `$y$…`); plain passwords are refused.
    """

    name: UserName
    ssh_keys: tuple[str, ...] = ()
    password_hash: str = ""

    def __post_init__(self) -> None:
        for key in self.ssh_keys:
            if not _KEY.fullmatch(key):
                raise InputError(
                    f"{key!r:.60} is not a public SSH key",
                    "paste the one line of the .pub file",
                    "ssh_keys",
                )
        if self.password_hash and not _HASH.fullmatch(self.password_hash):
            raise InputError(
                "this is not a password hash",
                "make one with: mkpasswd -m sha-512",
                "password_hash",
            )


@dataclass(frozen=True)
class Parameters:
    """What every family understands, by one name each."""

    timezone: str = "Etc/UTC"
    locale: str = "C.UTF-8"
    keyboard: str = "us"
    packages: tuple[str, ...] = ()
    kernel_arguments: tuple[KernelWord, ...] = ()

    def __post_init__(self) -> None:
        _match(_ZONE, self.timezone, "timezone", "write it as in Europe/Berlin")
        _match(_LOCALE, self.locale, "locale", "write it as in de_DE.UTF-8")
        _match(_PACKAGE, self.keyboard, "keyboard", "write it as in us or de")
        for package in self.packages:
            _match(_PACKAGE, package, "packages", "name packages as apt does")


class BootOrder(StrEnum):
    """What becomes of the firmware's boot order."""

    KEEP = "keep"
    DISK_FIRST = "disk-first"
    NETWORK_FIRST = "network-first"


@dataclass(frozen=True)
class Profile:
    """What a machine shall become.

    `expected_reboots`: restarts between the claim and the end of the installation that are part of
    it (Windows has three); each goes to the local disk. One more is an interrupted installation.
    """

    release: str
    method: Method = Method.ARCHIVE
    disk: Disk = field(default_factory=Disk)
    user: User | None = None
    parameters: Parameters = field(default_factory=Parameters)
    boot_order: BootOrder = BootOrder.KEEP
    expected_reboots: int = 0

    def __post_init__(self) -> None:
        releases.find(self.release)
        if not 0 <= self.expected_reboots <= _MOST_REBOOTS:
            raise InputError(
                f"{self.expected_reboots} is no number of reboots",
                f"give 0 to {_MOST_REBOOTS}",
                "expected_reboots",
            )


def _match(pattern: re.Pattern[str], text: str, where: str, step: str) -> None:
    if not pattern.fullmatch(text):
        raise InputError(f"{text!r:.60} is not right here", step, where)
