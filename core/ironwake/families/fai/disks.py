"""A layout as FAI's disk_config (setup-storage(8)), for the disks that the guard has chosen.

`disk1` is the layout's first disk: FAI counts as `disklist` says. A partition for GRUB's core is
made by `disklabel:gpt-bios` itself, behind all others by its number.
"""

from __future__ import annotations

from collections.abc import Iterator

from ironwake.errors import InputError
from ironwake.families import storage
from ironwake.families.storage import Can
from ironwake.layout.model import (
    Array,
    DiskLayout,
    Format,
    Group,
    Layout,
    Level,
    Partition,
    Role,
    Table,
    Volume,
)
from ironwake.sizes import Size

_LEAST_ROOT, _LEAST = 1500, 64  # MiB of what grows
_ESP = "/boot/efi"


def disk_config(layout: Layout) -> str:
    """The file's text; InputError, with the field, for what FAI cannot make, or not in our way."""
    check(layout)
    names: dict[str, str] = {}
    lines: list[str] = []
    for number, disk in enumerate(layout.disks, start=1):
        lines += [*_disk(disk, f"disk{number}", names, mount_esp=_has_first_esp(layout, disk)), ""]
    if layout.arrays:
        lines.append("disk_config raid fstabkey:uuid")
        for index, array in enumerate(layout.arrays):
            names[array.name] = f"md{index}"
            lines.append(_array(array, names))
        lines.append("")
    if layout.groups:
        lines.append("disk_config lvm fstabkey:uuid")
        for group in layout.groups:
            lines += _group(group, names)
    return "\n".join(lines).rstrip() + "\n"


def boot_disks(layout: Layout) -> tuple[int, ...]:
    """Which of its disks (from 0) a BIOS may start: GRUB goes there."""
    fit = [
        number
        for number, disk in enumerate(layout.disks)
        if disk.table is Table.MSDOS or _has(disk, Role.BIOS_BOOT)
    ]
    return tuple(fit or [0])


def packages(layout: Layout) -> tuple[str, ...]:
    """What the installed system needs besides to assemble its disks."""
    formats = {volume.format for _, _, volume in layout.volumes()}
    wanted = [
        ("mdadm", bool(layout.arrays)),
        ("lvm2", bool(layout.groups)),
        ("xfsprogs", Format.XFS in formats),
        ("btrfs-progs", Format.BTRFS in formats),
    ]
    return tuple(name for name, needed in wanted if needed)


_CAN = Can("FAI", keys=frozenset(), idle=True, subvolumes=False)


def check(layout: Layout) -> None:
    """InputError for what is not translated."""
    for _, where, volume in layout.volumes():
        if volume.encrypt:
            _refuse("FAI would write the passphrase into files of its own", f"{where}.encrypt")
    for index, array in enumerate(layout.arrays):
        if array.level is Level.STRIPED_MIRRORS:
            _refuse("FAI makes no RAID 10", f"arrays[{index}].level", "use 1, or 5")
    for index, group in enumerate(layout.groups):
        if "-" in group.name:
            where = f"groups[{index}].name"
            _refuse("FAI takes no hyphen in the name of a volume group", where, "use _")
    for item in storage.items(layout):
        if item.size is not None:
            storage.check_whole_percent("FAI", item.size, f"{item.where}.size")
    storage.check(layout, _CAN)


def _refuse(what: str, where: str, step: str = "use method: archive") -> None:
    raise InputError(what, step, f"layout.{where}")


def _disk(disk: DiskLayout, name: str, names: dict[str, str], mount_esp: bool) -> Iterator[str]:
    parts = [part for part in disk.partitions if part.role is not Role.BIOS_BOOT]
    label = "msdos" if disk.table is Table.MSDOS else "gpt"
    if _has(disk, Role.BIOS_BOOT):
        label = "gpt-bios"
    esp = next((at for at, part in enumerate(parts, start=1) if part.role is Role.ESP), 0)
    root = next((at for at, part in enumerate(parts, start=1) if part.mount == "/"), 0)
    bootable = esp or (root if disk.table is Table.MSDOS else 0)
    flag = f" bootable:{bootable}" if bootable else ""
    yield f"disk_config {name} disklabel:{label} fstabkey:uuid align-at:1M{flag}"
    for index, part in enumerate(parts):
        kind = f"p={part.name}"
        number = index + 1
        if disk.table is Table.MSDOS:
            is_logical = len(parts) > 4 and index >= 3
            kind = "logical" if is_logical else "primary"
            number = index + 2 if is_logical else index + 1  # the extended one has a number, too
        names[f"{disk.name}/{part.name}"] = f"{name}.{number}"
        if part.role is Role.ESP:
            place = _ESP if mount_esp and number == esp else "-"
            yield f"{kind} {place} {_size(part)} vfat {'umask=0077' if place != '-' else '-'}"
        else:
            yield f"{kind} {_mount(part)} {_size(part)} {_rest(part)}"


def _array(array: Array, names: dict[str, str]) -> str:
    working = len(array.of) - array.spares
    devices = [
        names[name] + (":spare" if index >= working else "") for index, name in enumerate(array.of)
    ]
    return f"raid{array.level.value} {_mount(array)} {','.join(devices)} {_rest(array)}"


def _group(group: Group, names: dict[str, str]) -> Iterator[str]:
    yield f"vg {group.name} {','.join(names[name] for name in group.of)}"
    for volume in group.volumes:
        size = _sized(volume.size, volume.mount == "/")
        yield f"{group.name}-{volume.name} {_mount(volume)} {size} {_rest(volume)}"


def _mount(volume: Volume) -> str:
    return "swap" if volume.format is Format.SWAP else str(volume.mount) or "-"


def _rest(volume: Volume) -> str:
    if volume.format is None:
        return "- -"
    options = ",".join(volume.options) or ("sw" if volume.format is Format.SWAP else "defaults")
    flag = "-n" if volume.format is Format.VFAT else "-L"
    label = f' createopts="{flag} {volume.label}"' if volume.label else ""
    mounted = volume.mount or volume.format is Format.SWAP
    return f"{volume.format} {options if mounted else '-'}{label}"


def _size(part: Partition) -> str:
    return _sized(part.size, part.mount == "/")


def _sized(size: Size, is_root: bool) -> str:
    if size.grows:
        return f"{_LEAST_ROOT if is_root else _LEAST}MiB-"
    if size.percent is not None:
        return f"{int(size.percent)}%"
    return f"{storage.mebibytes(size)}MiB"


def _has(disk: DiskLayout, role: Role) -> bool:
    return any(part.role is role for part in disk.partitions)


def _has_first_esp(layout: Layout, disk: DiskLayout) -> bool:
    return next((one for one in layout.disks if _has(one, Role.ESP)), None) is disk
