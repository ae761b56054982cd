"""A layout as vendors' installers need it: what each volume is for, and what they cannot make.

The agent makes whatever the layout model has. Installers have languages of their own: a family
walks through `items`, and says by `Can` what its installer takes; `check` refuses the rest, naming
the item of the layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ironwake.errors import InputError
from ironwake.layout.check import mapping
from ironwake.layout.model import (
    Array,
    Format,
    KeySource,
    Layout,
    LogicalVolume,
    Partition,
    Role,
    Table,
    Volume,
    Wipe,
)
from ironwake.sizes import MIB, Size

_STEP = "change the layout, or use method: archive"
_EFI = "/sys/firmware/efi"
# What a dry run shows, where passphrases are not known: they go out with the claim only.
UNKNOWN_KEY = "passphrase-comes-with-the-claim"


class Use(StrEnum):
    """What a volume is for."""

    ESP = "esp"
    BIOS_BOOT = "bios-boot"
    ARRAY = "array"  # a member of one
    GROUP = "group"  # a physical volume of one
    SWAP = "swap"
    FILES = "files"  # a file system
    NOTHING = "nothing"


@dataclass(frozen=True)
class Item:
    """A partition, an array or a logical volume.

    `where` is its field, for errors. `owner`: the disk's or the group's name, "" for an array.
    `disk` is that disk's number in the layout, -1 where it is no partition. `user`: the array or
    the group that stands on it, "" for none.
    """

    reference: str
    where: str
    volume: Volume
    use: Use
    owner: str = ""
    disk: int = -1
    user: str = ""

    @property
    def size(self) -> Size | None:
        """None for an array: as large as what it stands on."""
        volume = self.volume
        return volume.size if isinstance(volume, Partition | LogicalVolume) else None

    @property
    def mount(self) -> str:
        return "/boot/efi" if self.use is Use.ESP else str(self.volume.mount)

    def key(self, keys: Mapping[str, str]) -> str:
        """The passphrase of what is encrypted, "" where it is not; InputError where no answer
        file can have it."""
        if not self.volume.encrypt:
            return ""
        key = keys.get(mapping(self.reference), UNKNOWN_KEY)
        if not key.isprintable():
            raise InputError(
                f"the passphrase of {self.reference} has a line break or another control character",
                "give one of printable characters",
                f"{self.where}.encrypt",
            )
        return key


@dataclass(frozen=True)
class Can:
    """What an installer takes besides partitions of fixed and growing sizes.

    `who` is the installer, as errors call it. `idle`: volumes that nothing stands on. `percent`:
    sizes that are a part of a disk; `group_percent`, of a volume group. `below_btrfs`: on what
    btrfs may be made.
    """

    who: str
    formats: frozenset[Format] = frozenset(Format)
    keys: frozenset[KeySource] = frozenset({KeySource.PASSPHRASE})
    idle: bool = False
    arrays_on_arrays: bool = False
    spares: bool = True
    percent: bool = True
    group_percent: bool = True
    subvolumes: bool = True
    btrfs_in_groups: bool = True


def items(layout: Layout) -> Iterator[Item]:
    """All volumes, in the order in which they come to be."""
    arrays = {ref: str(one.name) for one in layout.arrays for ref in one.of}
    groups = {ref: str(one.name) for one in layout.groups for ref in one.of}
    disks = {str(one.name): number for number, one in enumerate(layout.disks)}
    for reference, where, volume in layout.volumes():
        owner = reference.rpartition("/")[0]
        yield Item(
            reference,
            f"layout.{where}",
            volume,
            _use(volume, reference in arrays, reference in groups),
            owner,
            disks.get(owner, -1) if isinstance(volume, Partition) else -1,
            arrays.get(reference) or groups.get(reference, ""),
        )


def _use(volume: Volume, of_array: bool, of_group: bool) -> Use:
    if isinstance(volume, Partition) and volume.role is not Role.DATA:
        return Use.ESP if volume.role is Role.ESP else Use.BIOS_BOOT
    if of_array:
        return Use.ARRAY
    if of_group:
        return Use.GROUP
    if volume.format is Format.SWAP:
        return Use.SWAP
    return Use.FILES if volume.format else Use.NOTHING


def check(layout: Layout, can: Can) -> None:
    """InputError for the first item that this installer cannot make."""
    for number, disk in enumerate(layout.disks):
        if disk.wipe is Wipe.NEVER:
            _refuse(can, "divides disks anew", f"layout.disks[{number}].wipe")
    esps = 0
    for item in items(layout):
        esps += item.use is Use.ESP
        if esps > 1:
            _refuse(can, "fills one EFI system partition", f"{item.where}.role")
            esps = 1
        _check_item(item, can)


def _check_item(item: Item, can: Can) -> None:
    volume = item.volume
    if isinstance(volume, Partition) and volume.keep:
        _refuse(can, "divides disks anew, and keeps nothing", f"{item.where}.keep")
    if item.use is Use.NOTHING and not can.idle:
        _refuse(can, f"makes nothing that is for nothing, as {item.reference}", item.where)
    if volume.format and volume.format not in can.formats:
        _refuse(can, f"makes no {volume.format}", f"{item.where}.format")
    if volume.subvolumes and not can.subvolumes:
        _refuse(can, "takes no subvolumes", f"{item.where}.subvolumes")
    if volume.encrypt and volume.encrypt.key not in can.keys:
        named = ", ".join(sorted(can.keys))
        _refuse(can, f"has these kinds of keys: {named}", f"{item.where}.encrypt.key")
    if isinstance(volume, Array):
        _check_array(item, volume, can)
    if isinstance(volume, LogicalVolume):
        if volume.format is Format.BTRFS and not can.btrfs_in_groups:
            _refuse(can, "makes btrfs on partitions and arrays only", f"{item.where}.format")
        if volume.size.percent is not None and not can.group_percent:
            _refuse(can, "takes no percent of a volume group", f"{item.where}.size")
    elif item.size is not None and item.size.percent is not None and not can.percent:
        _refuse(can, "takes no percent of a disk", f"{item.where}.size")


def _check_array(item: Item, array: Array, can: Can) -> None:
    if item.use is Use.ARRAY and not can.arrays_on_arrays:
        _refuse(can, "makes arrays of partitions only", item.where)
    if array.spares and not can.spares:
        _refuse(can, "takes no spares", f"{item.where}.spares")


def _refuse(can: Can, why: str, where: str) -> None:
    raise InputError(f"{can.who} {why}", _STEP, where)


def firmware(layout: Layout | None) -> str:
    """Shell text behind the guard's (`refuse` is its): a layout that this machine's firmware could
    not start is refused before anything is written.
    """
    if layout is None:
        return ""
    roles = {part.role for disk in layout.disks for part in disk.partitions}
    text = ""
    if Role.ESP not in roles:
        text += (
            f"[ ! -d {_EFI} ] || refuse 'this machine boots by UEFI; and the layout has no"
            " partition with role: esp'\n"
        )
    gpt = all(disk.table is Table.GPT for disk in layout.disks)
    if gpt and Role.BIOS_BOOT not in roles:
        text += (
            f"[ -d {_EFI} ] || refuse 'this machine boots by a BIOS; and the layout has no"
            " partition with role: bios-boot'\n"
        )
    return text


def mebibytes(size: Size) -> int:
    """A fixed size in MiB, rounded up."""
    return -(-(size.of(0) or 0) // MIB)


def check_whole_percent(who: str, size: Size, where: str) -> None:
    """InputError where a part of a whole is in fractions of a percent."""
    if size.percent is not None and size.percent != int(size.percent):
        raise InputError(f"{who} takes whole percent only, not {size}", "round it", where)


def hundredths(size: Size) -> int:
    """A part of a whole in hundredths of a percent, as a shell can reckon with."""
    return round((size.percent or 0) * 100)
