"""The machine's disks, from the kernel's sysfs and from wipefs; reads only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ironwake.disk import Disk, Part
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.sysfs import text

# Not disks that a system lives on: memory, optical, assembled from others, the network.
_NOT_DISKS = ("loop", "ram", "zram", "sr", "fd", "dm-", "md", "nbd", "mtdblock")
_TABLES = {
    "gpt": "a GPT partition table",
    "PMBR": "a GPT partition table",  # its protective MBR
    "dos": "a DOS partition table",
}
_TRANSPORTS = ("usb", "nvme", "virtio", "mmc", "ata")


def disks(run: Runner, root: Path = Path("/")) -> tuple[Disk, ...]:
    """All disks, by path.

    :param root: where `sys/block` is looked for
    """
    folders = sorted((root / "sys/block").iterdir())
    return tuple(_disk(run, folder) for folder in folders if _is_disk(folder))


def partitions(device: Path) -> tuple[str, ...]:
    """The kernel's names of a disk's partitions: `device` is its folder in sysfs."""
    names = (path.parent.name for path in device.glob("*/partition"))
    return tuple(sorted(names, key=lambda name: (len(name), name)))


def _is_disk(folder: Path) -> bool:
    name = folder.name
    if name.startswith(_NOT_DISKS) or text(folder / "hidden") == "1":
        return False
    if name.startswith("mmcblk") and name.endswith(("boot0", "boot1", "rpmb")):
        return False
    return _size(folder) > 0  # an empty card reader is a disk of nothing


def _disk(run: Runner, folder: Path) -> Disk:
    path = f"/dev/{folder.name.replace('!', '/')}"
    found: tuple[str, ...] = ()
    unreadable = ""
    sector = int(text(folder / "queue/logical_block_size") or "512")
    table, parts = read_table(run, path, sector)
    try:
        found = _found(run, path, partitions(folder))
    except CommandError as error:
        unreadable = str(error)
    words = (text(folder / "device/vendor"), text(folder / "device/model"))
    model = " ".join(word for word in words if not word.startswith("0x"))
    serial = _serial(folder)
    wwn = text(folder / "wwid") or text(folder / "device/wwid")
    transport = _transport(folder)
    return Disk(
        path=path,
        size=_size(folder),
        model=(model or text(folder / "device/name")).strip(),
        serial=serial,
        wwn=wwn,
        transport=transport,
        removable=text(folder / "removable") == "1",
        read_only=text(folder / "ro") == "1",
        found=found,
        links=links(folder, transport, serial, wwn),
        unreadable=unreadable,
        rotates=text(folder / "queue/rotational") == "1",
        sector=sector,
        table=table,
        parts=parts,
    )


def read_table(run: Runner, path: str, sector: int) -> tuple[str, tuple[Part, ...]]:
    """A disk's partition table: its kind as a layout calls it, and what it says. ("", ()) where
    there is none that sfdisk knows."""
    try:
        table = json.loads(run("sfdisk", "--json", path))["partitiontable"]
        kind = {"gpt": "gpt", "dos": "msdos"}[table["label"]]
        rows = table.get("partitions", ())
        return kind, tuple(_part(path, row, sector) for row in rows)
    except (CommandError, ValueError, KeyError):
        return "", ()


def _part(path: str, row: dict[str, Any], sector: int) -> Part:
    return Part(
        int(row["node"].removeprefix(path).lstrip("p")),
        int(row["start"]) * sector,
        int(row["size"]) * sector,
        str(row.get("type", "")),
        str(row.get("uuid", "")).lower(),
        str(row.get("name", "")),
    )


def links(folder: Path, transport: str, serial: str, wwn: str) -> tuple[str, ...]:
    """The commonest names that udev would give: people copy those from a running system.

    There is no udev in the ramdisk. From systemd's 60-persistent-storage.rules.
    """
    by_id = "/dev/disk/by-id"
    names = []
    if transport == "virtio" and serial:
        names.append(f"{by_id}/virtio-{serial}")
    if transport == "nvme" and serial:
        model = text(folder / "device/model").replace(" ", "_")
        names.append(f"{by_id}/nvme-{model}_{serial}".replace(" ", "_"))
    if transport == "ata" and serial:
        model = text(folder / "device/model").replace(" ", "_")
        names.append(f"{by_id}/ata-{model}_{serial}")
    if wwn.startswith("naa."):
        names.append(f"{by_id}/wwn-0x{wwn.removeprefix('naa.')}")
    if wwn.startswith(("eui.", "nvme.")):
        names.append(f"{by_id}/nvme-{wwn}")
    slot = _pci_slot(folder)
    if slot and transport == "virtio":
        names += [f"/dev/disk/by-path/pci-{slot}", f"/dev/disk/by-path/virtio-pci-{slot}"]
    if slot and transport == "nvme":
        number = folder.name.rpartition("n")[2]
        names.append(f"/dev/disk/by-path/pci-{slot}-nvme-{number}")
    return tuple(names)


def _found(run: Runner, path: str, parts: tuple[str, ...]) -> tuple[str, ...]:
    found = [_named(kind, label) for kind, label in signatures(run, path)]
    for part in parts:
        inside = [_named(*row) for row in signatures(run, f"/dev/{part}")]
        found += [f"{text} on {part}" for text in inside or ["something unknown"]]
    return tuple(dict.fromkeys(found))


def signatures(run: Runner, path: str) -> list[tuple[str, str]]:
    """(type, label) of all that wipefs would wipe."""
    # wipefs looks for all that libblkid knows, and unlike blkid it does not stop at the first
    printed = run("wipefs", "--no-act", "--json", path, timeout=60.0).strip()
    rows = json.loads(printed)["signatures"] if printed else []
    return [(row.get("type") or "something", row.get("label") or "") for row in rows]


def _named(kind: str, label: str) -> str:
    named = _TABLES.get(kind, kind)
    return f"{named} ({label})" if label else named


def _size(folder: Path) -> int:
    return int(text(folder / "size") or "0") * 512  # the kernel counts 512 bytes, always


def _serial(folder: Path) -> str:
    plain = text(folder / "serial") or text(folder / "device/serial")
    return plain or _page_80(folder / "device/vpd_pg80")


def _page_80(path: Path) -> str:
    """The Unit Serial Number page (SPC-4 §7.8.14): four bytes of header, then ASCII."""
    try:
        page = path.read_bytes()
    except OSError:
        return ""
    length = int.from_bytes(page[2:4], "big")
    return page[4 : 4 + length].decode("ascii", "ignore").strip(" \0")


def _transport(folder: Path) -> str:
    place = os.path.realpath(folder)
    return next((name for name in _TRANSPORTS if f"/{name}" in place), "scsi")


def _pci_slot(folder: Path) -> str:
    parts = Path(os.path.realpath(folder)).parts
    slots = [part for part in parts if len(part) == 12 and part[4] == part[7] == ":"]
    return slots[-1] if slots else ""
