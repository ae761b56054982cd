"""What a fragment's `storage` divides or overwrites, besides the disk that the image stands on.

Ignition does it at the first boot, and asks nobody. A volume or a file system that it shall not
wipe, it makes only where it finds nothing (coreos.github.io/ignition, operator notes).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ironwake.errors import InputError

BOOT_DISK: Final = "/dev/disk/by-id/coreos-boot-disk"
_LABEL: Final = "/dev/disk/by-partlabel/"
_WHERE: Final = "fragments.coreos.storage"


def others(storage: Any) -> tuple[str, ...]:
    """Devices, each once, that are neither the image's disk nor made of what is named already.

    :raises InputError: it is no storage section
    """
    if not isinstance(storage, dict):
        raise InputError("this is no mapping", "write it as Ignition has it", _WHERE)
    ours = {BOOT_DISK, f"{_LABEL}root"}
    written: list[str] = []
    for disk in _rows(storage, "disks"):
        written.append(_text(disk, "device", "disks"))
        if written[-1] == BOOT_DISK:
            ours |= {f"{_LABEL}{part.get('label')}" for part in _rows(disk, "partitions")}
    for array in _rows(storage, "raid"):
        ours.add(f"/dev/md/{_text(array, 'name', 'raid')}")
        members = array.get("devices", [])
        if not isinstance(members, list):
            raise InputError("devices are a list", "", f"{_WHERE}.raid")
        written += map(str, members)
    for volume in _rows(storage, "luks"):
        ours.add(f"/dev/mapper/{_text(volume, 'name', 'luks')}")
        if volume.get("wipeVolume"):
            written.append(_text(volume, "device", "luks"))
    for row in _rows(storage, "filesystems"):
        files = row.get("mount", row)  # specification 2.x has it one level below
        if isinstance(files, dict) and ("create" in files or files.get("wipeFilesystem")):
            written.append(_text(files, "device", "filesystems"))
    return tuple(dict.fromkeys(device for device in written if device not in ours))


def _rows(of: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    rows = of.get(name) or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{name} are a list of mappings", "", f"{_WHERE}.{name}")
    yield from rows


def _text(row: Mapping[str, Any], name: str, of: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise InputError(f"one of {of} has no {name}", "", f"{_WHERE}.{of}")
    return value
