"""A profile: what a machine shall become. People keep it as a YAML file in git.

release: debian-12
method: archive            # or script: the vendor's installer with an answer file
                           # or disk-image, with image instead of release
disk:
  match: auto              # or a serial number, a path below /dev/disk, or as in: smallest nvme
parameters:
  timezone: Europe/Berlin
  users:
    - {name: admin, ssh_keys: ["ssh-ed25519 AAAA… me@laptop"]}
boot_order: keep           # or disk-first, network-first: what the firmware's is made to be
expected_reboots: 0        # how often the installer itself restarts the machine
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ironwake import wire
from ironwake.disk import AUTO, DiskMatch
from ironwake.errors import InputError
from ironwake.image import Reference
from ironwake.layout.model import Layout
from ironwake.parameters import scope

_MOST_REBOOTS = 20
_ROOT = re.compile(r"(?:UUID|LABEL|PARTUUID|PARTLABEL)=[^\s=]{1,100}", re.ASCII)


class Method(StrEnum):
    """How an operating system gets on a disk."""

    SCRIPT = "script"
    ARCHIVE = "archive"
    DISK_IMAGE = "disk-image"
    WIPE = "wipe"
    RESCUE = "rescue"
    LIVE = "live"
    CAPTURE = "capture"

    @property
    def installs(self) -> bool:
        """Whether a system is on the disk afterwards."""
        return self not in (Method.WIPE, Method.RESCUE, Method.LIVE, Method.CAPTURE)

    @property
    def is_vendors(self) -> bool:
        """Whether the release's own installer is started."""
        return self is Method.SCRIPT

    @property
    def brings_up(self) -> bool:
        """Whether a system comes up that reports its health; else the order's own end is the end.

        From the disk, or from memory.
        """
        return self.installs or self is Method.LIVE


@dataclass(frozen=True)
class Disk:
    """Which disk, where the machine's layout is the usual one."""

    match: DiskMatch = AUTO


class BootOrder(StrEnum):
    """What becomes of the firmware's boot order."""

    KEEP = "keep"
    DISK_FIRST = "disk-first"
    NETWORK_FIRST = "network-first"


class Finish(StrEnum):
    """What a machine does once its order is carried out."""

    REBOOT = "reboot"
    KEXEC = "kexec"  # the installed kernel at once, by the running one; reboot where that fails
    POWEROFF = "poweroff"
    SHELL = "shell"  # a shell on the console of the ramdisk


class Ids(StrEnum):
    """Whether a disk image's ids (disk, partitions, file systems) stay as they are."""

    KEEP = "keep"
    NEW = "new"


class Seed(StrEnum):
    """How the system of a disk image hears of its name, its network, its user."""

    FILES = "files"
    NOCLOUD = "nocloud"
    NONE = "none"


class Verify(StrEnum):
    """Whether a written disk is read again. Each block is checked before it is written anyhow."""

    FULL = "full"
    FAST = "fast"


@dataclass(frozen=True)
class Capture:
    """What of a machine becomes an image, and how that is called: `web`, or `web@word`.

    `root` "" is for a whole disk, `disk`. Else it is the root file system that is meant:
    `UUID=…`, `LABEL=…`, `PARTUUID=…`, `PARTLABEL=…`, or `auto` for the only one there is.
    """

    name: str
    disk: DiskMatch = AUTO
    root: str = ""

    def __post_init__(self) -> None:
        Reference(self.name)
        if self.root and self.disk != AUTO:
            raise InputError("a disk or a root is read, not both", "leave one out", "capture")
        if self.root not in ("", "auto") and not _ROOT.fullmatch(self.root):
            raise InputError(
                f"{self.root!r:.60} names no root file system",
                "write auto, or UUID=, LABEL=, PARTUUID= or PARTLABEL= and its value",
                "root",
            )


@dataclass(frozen=True)
class Profile:
    """What a machine shall become.

    Exactly one of `release` and `image` is given. `parameters`: those that it states, as plain
    data; joined with what site, groups and machine state, they are a deployment's. `identity`,
    `seed` and `verify` are about disk images.

    `expected_reboots`: restarts between the claim and the end of the installation that are part of
    it (Windows has three); each goes to the local disk. One more is an interrupted installation.
    """

    release: str = ""
    method: Method = Method.ARCHIVE
    disk: Disk = field(default_factory=Disk)
    parameters: dict[str, Any] = field(default_factory=dict)
    boot_order: BootOrder = BootOrder.KEEP
    expected_reboots: int = 0
    layout: Layout | None = None
    image: str = ""
    identity: Ids = Ids.KEEP
    seed: Seed = Seed.FILES
    verify: Verify = Verify.FULL
    finish: Finish = Finish.REBOOT
    capture: Capture | None = None

    @property
    def system(self) -> str:
        """What it is made from, as a person calls it."""
        return self.release or self.image

    def __post_init__(self) -> None:
        try:
            scope.check(self.parameters)
        except InputError as error:
            raise wire.inside("parameters", error) from None
        _check_source(self)
        _check_finish(self)
        if self.layout and self.disk.match != AUTO:
            raise InputError(
                "a layout says itself which disks it is for",
                "leave out disk, and give match in the layout's disks",
                "disk",
            )
        if self.method is Method.DISK_IMAGE and self.layout:
            raise InputError(
                "the image of a disk has its partitions already",
                "leave out layout, or use method: archive",
                "layout",
            )
        if not 0 <= self.expected_reboots <= _MOST_REBOOTS:
            raise InputError(
                f"{self.expected_reboots} is no number of reboots",
                f"give 0 to {_MOST_REBOOTS}",
                "expected_reboots",
            )


def _check_finish(profile: Profile) -> None:
    method, finish = profile.method, profile.finish
    refused = {
        Method.SCRIPT: (tuple(Finish)[1:], "the installer restarts the machine by itself"),
        Method.WIPE: ((Finish.KEXEC,), "a wiped disk has no kernel to start"),
        Method.RESCUE: (tuple(Finish)[1:], "whoever is at work there ends it"),
        Method.LIVE: (tuple(Finish)[1:], "the system stays up"),
        Method.CAPTURE: ((Finish.KEXEC,), "nothing is installed that could be started"),
    }
    ways, why = refused.get(method, ((), ""))
    if finish in ways:
        raise InputError(
            f"method {method} takes no finish {finish}: {why}", "leave it out", "finish"
        )


def _check_source(profile: Profile) -> None:
    """Script: a release; archive: a release, or an image of a root; disk-image: of a disk."""
    if profile.method is Method.LIVE and (profile.image or profile.layout):
        where = "image" if profile.image else "layout"
        raise InputError("a live system is a release's, and writes nothing", "leave it out", where)
    if (profile.method is Method.CAPTURE) is not (profile.capture is not None):
        raise InputError(
            "capture and method: capture belong together",
            "begin one with: ironwake image capture",
            "capture",
        )
    if not profile.method.brings_up:
        if profile.system:
            raise InputError(f"method {profile.method} installs nothing", "leave it out", "release")
        return
    other = {Method.SCRIPT: "image", Method.DISK_IMAGE: "release"}.get(profile.method, "")
    if other and getattr(profile, other):
        raise InputError(f"method {profile.method} takes no {other}", "leave it out", other)
    if profile.release and profile.image:
        raise InputError("a system is made of one thing", "give release or image", "image")
    if profile.method is Method.DISK_IMAGE and not profile.image:
        raise InputError("this field is missing", "choose one: ironwake image list", "image")
    if not profile.system:
        raise InputError("this field is missing", "give release, or image", "release")
