"""A layout: partitions, RAID, LVM, encryption and file systems, as a profile has them.

disks:
  - name: first
    match: smallest nvme        # see `ironwake.disk`
    wipe: if-foreign
    partitions:
      - {name: esp, role: esp, size: 512MiB}
      - {name: boot, size: 1GiB, format: ext4, mount: /boot}
      - {name: system}          # without a size it grows
arrays:
  - {name: both, level: 1, of: [first/system, second/system]}
groups:
  - name: vg0
    of: [both]
    volumes:
      - {name: root, size: 20GiB, format: ext4, mount: /}
      - {name: swap, size: 4GiB, format: swap}
      - {name: data, encrypt: {key: tpm2}, format: btrfs, subvolumes: {srv: /srv, home: /home}}

Whatever stands on something names it: a partition by its disk and its own name, an array by its
name. What is named stands before, so nothing can stand on itself. `check` has the rules over all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from ironwake.disk import AUTO, DiskMatch
from ironwake.errors import InputError
from ironwake.layout import check
from ironwake.sizes import GROW, Size

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}", re.ASCII)
_PATH = re.compile(r"/|(?:/[A-Za-z0-9_.@+-]+)+", re.ASCII)
_OPTION = re.compile(r"[A-Za-z0-9_.:=/@+-]+", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_SUBVOLUME = re.compile(r"[A-Za-z0-9_.@-]+", re.ASCII)


class Table(StrEnum):
    """The partition table's kind."""

    GPT = "gpt"
    MSDOS = "msdos"


class Wipe(StrEnum):
    """What becomes of the table that a disk has."""

    NEVER = "never"  # it must be the layout's own already
    IF_FOREIGN = "if-foreign"  # it stays where it is the layout's own, else it is made anew
    ALWAYS = "always"


class Role(StrEnum):
    """What a partition is to the firmware."""

    DATA = "data"
    ESP = "esp"
    BIOS_BOOT = "bios-boot"  # where GRUB's core stands on a GPT disk of a BIOS machine


class Format(StrEnum):
    EXT4 = "ext4"
    XFS = "xfs"
    BTRFS = "btrfs"
    VFAT = "vfat"
    SWAP = "swap"


# Characters of a label: the file systems' own bounds.
LONGEST_LABEL = {
    Format.EXT4: 16,
    Format.XFS: 12,
    Format.BTRFS: 255,
    Format.VFAT: 11,
    Format.SWAP: 15,
}


class KeySource(StrEnum):
    """What opens an encrypted volume at each start. Its passphrase opens it always."""

    PASSPHRASE = "passphrase"  # typed at each start  # noqa: S105 (no password)
    TPM2 = "tpm2"  # sealed by the machine's TPM, for its firmware's Secure Boot state (PCR 7)
    FILE = "file"  # a key file in the root file system


class Level(IntEnum):
    """A RAID level; its value is md's number of it."""

    STRIPE = 0
    MIRROR = 1
    PARITY = 5
    DOUBLE_PARITY = 6
    STRIPED_MIRRORS = 10

    @property
    def least(self) -> int:
        """Devices that it needs."""
        return {Level.PARITY: 3, Level.DOUBLE_PARITY: 4}.get(self, 2)


class VolumeName(str):
    """A name that is good for a partition, an array, a group, a volume and a mapping alike."""

    __slots__ = ()

    def __new__(cls, text: str) -> VolumeName:
        if not _NAME.fullmatch(text):
            raise InputError(
                f"{text!r:.60} is not a name here",
                "use letters, digits, - and _; a letter first; 31 at most",
                "name",
            )
        return str.__new__(cls, text)


class MountPoint(str):
    """An absolute path, without anything that fstab or a shell would read otherwise; "" is none."""

    __slots__ = ()

    def __new__(cls, text: str) -> MountPoint:
        parts = text.split("/")
        if text and (not _PATH.fullmatch(text) or "." in parts or ".." in parts):
            raise InputError(
                f"{text!r:.80} is not a place to mount", "write it as in / or /srv/data", "mount"
            )
        return str.__new__(cls, text)


NOWHERE = MountPoint("")


@dataclass(frozen=True)
class Encryption:
    """LUKS2 under the file system (or under whatever stands on this volume)."""

    key: KeySource


@dataclass(frozen=True)
class Volume:
    """What all kinds have that something can stand on: a partition, an array, a logical volume.

    `subvolumes`: of btrfs, each with its place. `label` is the file system's.
    """

    name: VolumeName
    format: Format | None = None
    mount: MountPoint = NOWHERE
    options: tuple[str, ...] = ()
    label: str = ""
    subvolumes: dict[str, MountPoint] = field(default_factory=dict)
    encrypt: Encryption | None = None

    def __post_init__(self) -> None:
        if self.mount and self.format in (None, Format.SWAP):
            raise InputError(
                f"{self.name} has a mount point and no file system", "give its format", "format"
            )
        if self.subvolumes:
            self._check_subvolumes()
        if self.label and self.format is None:
            raise InputError("only a file system has a label", "give its format", "label")
        if self.label and (
            not _LABEL.fullmatch(self.label) or len(self.label) > LONGEST_LABEL[self._format]
        ):
            most = LONGEST_LABEL[self._format]
            raise InputError(
                f"{self.label!r:.60} is no label of {self.format}",
                f"use letters, digits, . _ -; {most} at most",
                "label",
            )
        for option in self.options:
            if not _OPTION.fullmatch(option):
                raise InputError(
                    f"{option!r:.60} is not a mount option", "write it as in noatime", "options"
                )

    @property
    def _format(self) -> Format:
        return self.format or Format.EXT4

    @property
    def places(self) -> Iterator[tuple[str, MountPoint]]:
        """(subvolume or "", mount point) of each place where it is mounted."""
        if self.mount:
            yield "", self.mount
        yield from sorted(self.subvolumes.items())  # as JSON has them in any order

    def _check_subvolumes(self) -> None:
        if self.format is not Format.BTRFS:
            raise InputError("only btrfs has subvolumes", "write format: btrfs", "subvolumes")
        if self.mount:
            raise InputError(
                "subvolumes are mounted, or the whole: not both",
                "leave mount out, and give a subvolume that place",
                "mount",
            )
        for name in self.subvolumes:
            if not _SUBVOLUME.fullmatch(name) or name in (".", ".."):
                raise InputError(
                    f"{name!r:.60} is no name of a subvolume",
                    "use letters, digits, @ . _ -",
                    "subvolumes",
                )


@dataclass(frozen=True)
class Partition(Volume):
    """`keep`: what is on it must survive. It is found by its name, which a GPT has."""

    size: Size = GROW
    role: Role = Role.DATA
    keep: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.keep and any(place in ("/", "/boot") for _, place in self.places):
            raise InputError(
                f"{self.name} is kept, and the new system would be written into it",
                "leave out keep, or mount it elsewhere",
                "keep",
            )
        if self.keep and self.encrypt:
            raise InputError(
                f"{self.name} is kept as it is, so it cannot be encrypted now",
                "leave out keep, or encrypt",
                "encrypt",
            )
        if self.role is not Role.DATA and (self.format or self.mount or self.encrypt):
            raise InputError(
                f"{self.name} is the firmware's: its file system and place are settled",
                "leave out format, mount and encrypt",
                "role",
            )


@dataclass(frozen=True)
class DiskLayout:
    """One disk. Its partitions stand on it in this order."""

    name: VolumeName
    partitions: tuple[Partition, ...]
    match: DiskMatch = AUTO
    table: Table = Table.GPT
    wipe: Wipe = Wipe.IF_FOREIGN

    def __post_init__(self) -> None:
        check.disk(self)


@dataclass(frozen=True)
class Array(Volume):
    """RAID by md. `spares`: how many of the devices stand by."""

    level: Level = Level.MIRROR
    of: tuple[str, ...] = ()
    spares: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        working = len(self.of) - self.spares
        if self.spares < 0 or working < self.level.least:
            raise InputError(
                f"RAID {self.level.value} needs {self.level.least} devices,"
                f" {self.name} has {max(working, 0)}",
                "name more in of",
                "of",
            )


@dataclass(frozen=True)
class LogicalVolume(Volume):
    size: Size = GROW


@dataclass(frozen=True)
class Group:
    """An LVM volume group."""

    name: VolumeName
    of: tuple[str, ...]
    volumes: tuple[LogicalVolume, ...]

    def __post_init__(self) -> None:
        check.group(self)


@dataclass(frozen=True)
class Layout:
    """All of a machine's disks."""

    disks: tuple[DiskLayout, ...]
    arrays: tuple[Array, ...] = ()
    groups: tuple[Group, ...] = ()

    def __post_init__(self) -> None:
        check.layout(self)

    @property
    def sealed(self) -> tuple[str, ...]:
        """The names of the mappings of all encrypted volumes: what keys are known by."""
        return tuple(
            check.mapping(reference) for reference, _, volume in self.volumes() if volume.encrypt
        )

    def volumes(self) -> Iterator[tuple[str, str, Volume]]:
        """(reference, field, volume) of each, in the order in which they come to be.

        The reference is what others name it by: `first/system`, `both`, `vg0/root`.
        """
        for index, disk in enumerate(self.disks):
            for number, part in enumerate(disk.partitions):
                yield f"{disk.name}/{part.name}", f"disks[{index}].partitions[{number}]", part
        for index, array in enumerate(self.arrays):
            yield str(array.name), f"arrays[{index}]", array
        for index, group in enumerate(self.groups):
            for number, volume in enumerate(group.volumes):
                yield f"{group.name}/{volume.name}", f"groups[{index}].volumes[{number}]", volume
