"""A layout in the words of curtin, which Ubuntu's installer divides disks with.

Its storage actions are one list, each naming what it stands on by id. Which disk is which, and
whether the machine has booted by UEFI, is known on the machine only: words stand for it, which the
guard's script puts right (`known`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ironwake.errors import InputError
from ironwake.families import guard, storage
from ironwake.families.storage import Can, Item, Use
from ironwake.layout.check import mapping
from ironwake.layout.model import Array, DiskLayout, Format, Group, Layout, Role, Table
from ironwake.sizes import Size

Action = dict[str, Any]

CAN: Final = Can("Ubuntu's installer", idle=True, subvolumes=False)
_BIOS, _UEFI = "ironwake-bios", "ironwake-uefi"
_FIRMWARE: Final = {_BIOS: "bios", _UEFI: "uefi"}
_FORMATS: Final = {Format.VFAT: "fat32"}
_FLAGS: Final[Mapping[Use, Action]] = {
    Use.ESP: {"flag": "boot", "grub_device": _UEFI},
    Use.BIOS_BOOT: {"flag": "bios_grub"},
    Use.SWAP: {"flag": "swap"},
}
_MOST_PRIMARY = 4  # of an MSDOS table, where none is extended


def actions(layout: Layout, keys: Mapping[str, str]) -> dict[str, Any]:
    """The value of `storage`; InputError, naming the field, for what curtin cannot do.

    :param keys: passphrases by the names of mappings
    """
    storage.check(layout, CAN)
    found = [_disk(disk, f"layout.disks[{index}]") for index, disk in enumerate(layout.disks)]
    groups = {str(group.name): group for group in layout.groups}
    sealed = {item.reference for item in storage.items(layout) if item.volume.encrypt}
    mounts: list[Action] = []
    for item in storage.items(layout):
        group = groups.pop(item.owner, None)
        if group is not None:
            found.append(_group(group, sealed))
        found.append(_volume(item, layout, sealed))
        found += _sealed(item, keys)
        found += _format(item, sealed)
        mounts += _mount(item)
    # What is above comes after what it is in.
    mounts.sort(key=lambda one: one["path"].rstrip("/").count("/"))
    return {"swap": {"size": 0}, "config": [*found, *mounts]}


def known(layout: Layout, file: str) -> str:
    """Shell text that puts into `file` what only the machine knows; after the guard's."""
    firmware = "[ -d /sys/firmware/efi ] && uefi=true bios=false || uefi=false bios=true"
    # Words become truth values, so their quotes go too.
    edits = [f"""-e "s/[\\"']*{word}[\\"']*/${name}/\"""" for word, name in _FIRMWARE.items()]
    for disk in layout.disks:
        edits.append(f'-e "s,{_word(disk)},${guard.variable(str(disk.name))},"')
    return f"{firmware}\nsed -i {' '.join(edits)} {file}\n"


def _word(disk: DiskLayout) -> str:
    return f"ironwake-disk-{disk.name}-here"


def _top(reference: str, sealed: Iterable[str]) -> str:
    """The id of what others stand on: of the open mapping, where it is encrypted."""
    return mapping(reference) if reference in sealed else reference


def _disk(disk: DiskLayout, where: str) -> Action:
    if disk.table is Table.MSDOS and len(disk.partitions) > _MOST_PRIMARY:
        raise InputError(
            f"an MSDOS table has {_MOST_PRIMARY} partitions here at most",
            "use table: gpt",
            f"{where}.table",
        )
    roles = [part.role for part in disk.partitions]
    grub = disk.table is Table.MSDOS or Role.BIOS_BOOT in roles
    return {
        "type": "disk",
        "id": str(disk.name),
        "path": _word(disk),
        "ptable": str(disk.table),
        "wipe": "superblock-recursive",
        "preserve": False,
        **({"grub_device": _BIOS} if grub else {}),
    }


def _volume(item: Item, layout: Layout, sealed: Iterable[str]) -> Action:
    volume = item.volume
    if isinstance(volume, Array):
        return _array(volume, sealed)
    wiped = {"id": item.reference, "wipe": "superblock", "preserve": False}
    if item.disk >= 0:
        names = [part.name for part in layout.disks[item.disk].partitions]
        return {
            "type": "partition",
            **wiped,
            "device": item.owner,
            "number": names.index(volume.name) + 1,
            "size": _size(item, last=volume.name == names[-1]),
            **_FLAGS.get(item.use, {}),
        }
    group = next(one for one in layout.groups if one.name == item.owner)
    last = volume is group.volumes[-1]
    return {
        "type": "lvm_partition",
        **wiped,
        "name": str(volume.name),
        "volgroup": item.owner,
        "size": _size(item, last=last),
    }


def _size(item: Item, *, last: bool) -> int | str:
    """Bytes, a part in percent, or -1 for what is left, which only the last one can have."""
    size = item.size or Size("grow")
    if size.grows and not last:
        raise InputError(
            f"{CAN.who} lets only the last one grow", "give it a size", f"{item.where}.size"
        )
    if size.percent is not None:
        return str(size)
    return -1 if size.grows else size.of(0) or 0


def _array(array: Array, sealed: Iterable[str]) -> Action:
    below = [_top(reference, sealed) for reference in array.of]
    working = len(below) - array.spares
    return {
        "type": "raid",
        "id": str(array.name),
        "name": str(array.name),
        "raidlevel": f"raid{array.level.value}",
        "devices": below[:working],
        "spare_devices": below[working:],
        "metadata": "1.2",
        "preserve": False,
    }


def _group(group: Group, sealed: Iterable[str]) -> Action:
    return {
        "type": "lvm_volgroup",
        "id": str(group.name),
        "name": str(group.name),
        "devices": [_top(reference, sealed) for reference in group.of],
        "preserve": False,
    }


def _sealed(item: Item, keys: Mapping[str, str]) -> Iterator[Action]:
    if item.volume.encrypt:
        name = mapping(item.reference)
        yield {
            "type": "dm_crypt",
            "id": name,
            "dm_name": name,
            "volume": item.reference,
            "key": item.key(keys),
            "preserve": False,
        }


def _format(item: Item, sealed: Iterable[str]) -> Iterator[Action]:
    kind = Format.VFAT if item.use is Use.ESP else item.volume.format
    if kind is not None:
        label = item.volume.label
        yield {
            "type": "format",
            "id": f"{item.reference}-format",
            "volume": _top(item.reference, sealed),
            "fstype": _FORMATS.get(kind, str(kind)),
            "preserve": False,
            **({"label": label} if label else {}),
        }


def _mount(item: Item) -> Iterator[Action]:
    """Its place; swap has one without a path."""
    if item.mount or item.use is Use.SWAP:
        options = ",".join(item.volume.options)
        yield {
            "type": "mount",
            "id": f"{item.reference}-mount",
            "device": f"{item.reference}-format",
            "path": item.mount,
            **({"options": options} if options else {}),
        }
