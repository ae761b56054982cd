"""File systems: how each is made, and what fstab says about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ironwake.layout.model import Format, Volume

# orphan_file and metadata_csum_seed are newer than the e2fsck and the GRUB of the systems that we
# install: Debian 12's would call a file system of Debian 13's mke2fs "unknown".
_EXT4_FEATURES = "^orphan_file,^metadata_csum_seed"
# Large extent counters are newer than Debian 12's GRUB.
_XFS_FEATURES = ("-i", "nrext64=0")
# Where subvolumes are made, and what that is unmounted from.
_ASIDE = "/run/ironwake-subvolumes"

_OPTIONS: dict[Format, tuple[str, ...]] = {Format.VFAT: ("umask=0077",)}
_ROOT_OPTIONS: dict[Format, tuple[str, ...]] = {Format.EXT4: ("errors=remount-ro",)}
_CHECKED = (Format.EXT4, Format.VFAT)  # by fsck at the start


@dataclass(frozen=True)
class Command:
    """`stdin` is its input; `awaits` are devices that must be there before; `key` names the
    encrypted volume whose key is its input instead."""

    words: tuple[str, ...]
    stdin: str = ""
    awaits: tuple[str, ...] = ()
    key: str = ""


@dataclass(frozen=True)
class Place:
    """A file system (or swap) of the new system: `device` now, `spec` in its fstab."""

    device: str
    spec: str
    mount: str
    format: Format
    options: tuple[str, ...] = ()
    subvolume: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """Of its path: none of the root."""
        return tuple(part for part in self.mount.split("/") if part)

    @property
    def line(self) -> str:
        """Its line of fstab(5)."""
        if self.format is Format.SWAP:
            return f"{self.spec} none swap {','.join(self.options) or 'sw'} 0 0\n"
        options = ",".join(self.options) or "defaults"
        check = 0 if self.format not in _CHECKED else 1 if self.mount == "/" else 2
        return f"{self.spec} {self.mount} {self.format} {options} 0 {check}\n"


def make(device: str, volume: Volume, uuid: str, serial: str) -> Iterator[Command]:
    """The commands that make it.

    :param serial: the volume number that FAT has instead of a UUID
    """
    label = volume.label or volume.name[:11]
    match volume.format:
        case Format.EXT4:
            # Lazy: the kernel zeroes inode tables later, in the background. No discard: thin
            # volumes take minutes for it, and the installed system trims weekly.
            yield Command(
                (
                    *("mkfs.ext4", "-F", "-q", "-L", label, "-U", uuid, "-O", _EXT4_FEATURES),
                    *("-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", device),
                )
            )
        case Format.XFS:
            yield Command(
                (
                    *("mkfs.xfs", "-f", "-q", "-K", "-L", label[:12], "-m", f"uuid={uuid}"),
                    *(*_XFS_FEATURES, device),
                )
            )
        case Format.BTRFS:
            yield Command(("mkfs.btrfs", "-f", "-q", "-K", "-L", label, "-U", uuid, device))
            yield from _subvolumes(device, volume)
        case Format.VFAT:
            number = serial.replace("-", "")
            yield Command(("mkfs.vfat", "-F", "32", "-n", label.upper(), "-i", number, device))
        case Format.SWAP:
            yield Command(("mkswap", "--quiet", "--label", label, "--uuid", uuid, device))


def make_esp(device: str, serial: str) -> Command:
    number = serial.replace("-", "")
    return Command(("mkfs.vfat", "-F", "32", "-n", "ESP", "-i", number, device))


def places(device: str, spec: str, volume: Volume) -> Iterator[Place]:
    """Where it is mounted; swap has one place without a path."""
    kind = volume.format
    if kind is None:
        return
    if kind is Format.SWAP:
        yield Place(device, spec, "", kind, volume.options)
    for subvolume, mount in volume.places:
        given = volume.options or _OPTIONS.get(kind, ())
        if mount == "/":
            given = volume.options or _ROOT_OPTIONS.get(kind, ())
        own = (f"subvol={subvolume}",) if subvolume else ()
        yield Place(device, spec, mount, kind, (*own, *given), subvolume)


def esp_place(device: str, spec: str, mount: str, *, alone: bool) -> Place:
    """Where there are others, the system starts without this one, for its disk may be broken."""
    options = _OPTIONS[Format.VFAT] if alone else (*_OPTIONS[Format.VFAT], "nofail")
    return Place(device, spec, mount, Format.VFAT, options)


def _subvolumes(device: str, volume: Volume) -> Iterator[Command]:
    if not volume.subvolumes:
        return
    yield Command(("mkdir", "-p", _ASIDE))
    yield Command(("mount", "-t", "btrfs", device, _ASIDE))
    for name in sorted(volume.subvolumes):
        yield Command(("btrfs", "subvolume", "create", f"{_ASIDE}/{name}"))
    yield Command(("umount", _ASIDE))
