"""A layout as AutoYaST's partitioning section: drives of partitions, arrays and volume groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ironwake.errors import InputError
from ironwake.families import guard, storage
from ironwake.families.storage import Can, Item, Use
from ironwake.families.suse.yastxml import Data, Symbol
from ironwake.layout.model import Array, Format, Layout, LogicalVolume, Partition, Volume

Map = dict[str, Data]
# Partition ids as YaST counts them; those of GPT are beyond 255.
_LINUX, _SWAP, _LVM, _RAID, _ESP, _BIOS_BOOT = 131, 130, 142, 253, 259, 263
_IDS = {
    Use.ESP: _ESP,
    Use.BIOS_BOOT: _BIOS_BOOT,
    Use.ARRAY: _RAID,
    Use.GROUP: _LVM,
    Use.SWAP: _SWAP,
}
CAN = Can("AutoYaST", idle=True, spares=False)


def check(layout: Layout) -> None:
    """InputError for what AutoYaST cannot make."""
    storage.check(layout, CAN)
    for item in storage.items(layout):
        _subvolumes(item)


def mark(name: str) -> str:
    """What stands for a disk until its device is known."""
    return f"IRONWAKE-DISK-{name}"


def named(layout: Layout | None, path: str, copy: str) -> str:
    """A shell command that puts the devices in the place of their marks, in a copy of the file."""
    names = [str(disk.name) for disk in layout.disks] if layout else ["disk"]
    edits = " ".join(
        f'-e "s|<device>{mark(name)}</device>|<device>${guard.variable(name)}</device>|"'
        for name in names
    )
    return f"sed {edits} {path} >{copy}"


def partitioning(layout: Layout | None, keys: Mapping[str, str]) -> list[Data]:
    """The section; without a layout one disk, divided as the release does it."""
    if layout is None:
        return [{"device": mark("disk"), **_kind("DISK"), "disklabel": "gpt", "use": "all"}]
    found = list(storage.items(layout))
    drives: list[Data] = []
    for disk in layout.disks:
        parts: list[Data] = [
            {**_partition(item), **_common(item, keys)}
            for item in found
            if item.owner == disk.name and isinstance(item.volume, Partition)
        ]
        drives.append(
            {
                "device": mark(disk.name),
                **_kind("DISK"),
                "disklabel": str(disk.table),
                "initialize": True,
                "use": "all",
                "partitions": parts,
            }
        )
    drives += [_array(item, item.volume, keys) for item in found if isinstance(item.volume, Array)]
    for group in layout.groups:
        volumes: list[Data] = [
            {"lv_name": str(item.volume.name), "size": _size(item), **_common(item, keys)}
            for item in found
            if item.owner == group.name and isinstance(item.volume, LogicalVolume)
        ]
        drives.append({"device": f"/dev/{group.name}", **_kind("LVM"), "partitions": volumes})
    return drives


def _kind(name: str) -> Map:
    return {"type": Symbol(f"CT_{name}")}


def _array(item: Item, array: Array, keys: Mapping[str, str]) -> Map:
    return {
        "device": f"/dev/md/{array.name}",
        **_kind("MD"),
        # The array itself has the file system: it is not divided.
        "disklabel": "none",
        "partitions": [_common(item, keys)],
        "raid_options": {"raid_type": f"raid{array.level.value}"},
    }


def _partition(item: Item) -> Map:
    number = _IDS.get(item.use, _LINUX)
    return {"create": True, "partition_id": number, "size": _size(item)}


def _size(item: Item) -> str:
    size = item.size
    if size is None or size.grows:
        return "max"
    if size.percent is not None:
        return f"{size.percent:g}%"
    return f"{storage.mebibytes(size)}M"


def _common(item: Item, keys: Mapping[str, str]) -> Map:
    """What partitions, arrays and logical volumes have alike."""
    volume = item.volume
    rows: Map = {"format": False}
    if item.use is Use.ESP:
        rows = {"format": True, "filesystem": Symbol("vfat"), "mount": item.mount}
    elif item.use is Use.ARRAY:
        rows["raid_name"] = f"/dev/md/{item.user}"
    elif item.use is Use.GROUP:
        rows["lvm_group"] = item.user
    elif volume.format:
        rows = _files(item, volume, volume.format)
    if volume.encrypt:
        rows["crypt_method"] = Symbol("luks2")
        rows["crypt_key"] = item.key(keys)
    return rows


def _files(item: Item, volume: Volume, kind: Format) -> Map:
    rows: Map = {"format": True, "filesystem": Symbol(kind), "mountby": Symbol("uuid")}
    if item.use is Use.SWAP:
        rows["mount"] = "swap"
    elif item.mount:
        rows["mount"] = item.mount
    if volume.options:
        rows["fstopt"] = ",".join(volume.options)
    if volume.label:
        rows["label"] = volume.label
    if kind is Format.BTRFS:
        rows |= _subvolumes(item)
    return rows


def _subvolumes(item: Item) -> Map:
    """AutoYaST mounts a subvolume below its file system's own place, and by its own name."""
    subvolumes = item.volume.subvolumes
    if not subvolumes:
        return {"create_subvolumes": False} if item.volume.format is Format.BTRFS else {}
    prefix = next((name for name, place in subvolumes.items() if place == "/"), None)
    if prefix is None:
        raise InputError(
            "AutoYaST mounts subvolumes below a file system that is mounted itself",
            "give one of them the place /, or use method: archive",
            f"{item.where}.subvolumes",
        )
    return {"mount": "/", "subvolumes_prefix": prefix, "subvolumes": list(_below(item, prefix))}


def _below(item: Item, prefix: str) -> Iterator[Data]:
    for name, place in sorted(item.volume.subvolumes.items()):
        if name == prefix:
            continue
        if place != f"/{name}":
            raise InputError(
                f"AutoYaST mounts the subvolume {name} at /{name}, not at {place}",
                "rename it, or use method: archive",
                f"{item.where}.subvolumes",
            )
        yield {"path": name}
