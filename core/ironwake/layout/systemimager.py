"""SystemImager's disks-layout.xml as a layout of ours.

What has no counterpart is refused with its line where the disks would be others without it, and
told where they are not. A disk is called by its kernel name there, which may be another disk's
after a restart: whoever imports says which is meant, where there are several.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ironwake import wire, xmltree
from ironwake.errors import InputError
from ironwake.layout import systemimager_terms as terms
from ironwake.layout.model import Layout
from ironwake.xmltree import Element

_LEVELS = {
    **dict.fromkeys(("raid0", "0", "stripe"), 0),
    **dict.fromkeys(("raid1", "1", "mirror"), 1),
    **{name: int(name[-1]) for name in ("raid5", "5", "raid6", "6")},
    **dict.fromkeys(("raid10", "10"), 10),
}
_FORMATS = {
    **{name: name for name in ("ext4", "xfs", "btrfs", "vfat", "swap")},
    "fat32": "vfat",
    "ext2": "ext4",
    "ext3": "ext4",
}
_IDLE_FLAGS = ("", "-", "boot", "lba", "raid", "lvm", "swap", "esp", "bios_grub", "legacy_boot")


@dataclass
class Imported:
    """`layout` is data as in a profile's file, and stands up to its checks; `notes` are (line,
    what was left out or changed)."""

    layout: dict[str, Any]
    notes: list[tuple[int, str]]


def read(raw: bytes, matches: Mapping[str, str]) -> Imported:
    """The layout of a file; InputError with the line as `where`.

    :param matches: which disk is meant, by the name in the file: `/dev/sda` → a serial number, or
        whatever else `match` takes
    """
    root = xmltree.parse(raw)
    if root.name != "config":
        raise InputError(
            f"<{root.name:.40}> is no disks-layout.xml of SystemImager",
            "give one that begins with <config>",
            str(root.line),
        )
    return _Reading(root, matches).read()


@dataclass
class _Reading:
    root: Element
    matches: Mapping[str, str]
    notes: list[tuple[int, str]] = field(default_factory=list)
    # a device → what others call it by, and its row
    volumes: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)  # by device: where it is mounted
    members: dict[str, list[str]] = field(default_factory=dict)  # of arrays and groups
    named: set[str] = field(default_factory=set)  # partitions that have a p_name
    lines: dict[str, int] = field(default_factory=dict)  # where such a name is said

    def read(self) -> Imported:
        for one in self.root.all("fsinfo"):
            self.places[one.get("real_dev")] = (
                one.get("mp") if "/" in one.get("mp") else one.get("fs")
            )
        disks = [self._disk(one) for one in self.root.all("disk")]
        if not disks:
            raise InputError("there is no disk", "", str(self.root.line))
        arrays = [
            self._array(one) for raid in self.root.all("raid") for one in raid.all("raid_disk")
        ]
        groups = [self._group(one) for lvm in self.root.all("lvm") for one in lvm.all("lvm_group")]
        for name in self.members:
            raise InputError(f"{name} is not described", "describe it", str(self.lines[name]))
        for one in self.root.all("fsinfo"):
            self._file_system(one)
        for name in ("bootloader", "boel"):
            for one in self.root.all(name):
                self.notes.append((one.line, f"<{name}> is left out: Ironwake settles that itself"))
        layout: dict[str, Any] = {"disks": disks}
        layout |= {"arrays": arrays} if arrays else {}
        layout |= {"groups": groups} if groups else {}
        try:
            wire.load(Layout, layout)
        except InputError as error:
            raise InputError(
                f"as a layout: {error.where}: {error.what}", error.next_step, str(self.root.line)
            ) from None
        return Imported(layout, sorted(self.notes))

    def _disk(self, disk: Element) -> dict[str, Any]:
        device = terms.need(disk, "dev")
        label = terms.need(disk, "label_type")
        if label not in ("msdos", "gpt"):
            raise terms.refused(disk, f"label_type {label!r:.40}", "write gpt or msdos")
        row: dict[str, Any] = {
            "name": terms.name(device.rpartition("/")[2]) or "disk",
            "match": self._match(disk, device),
        }
        if label == "msdos":
            row["table"] = "msdos"
        parts = sorted(disk.all("part"), key=terms.number)
        row["partitions"] = [
            self._partition(disk, part, row["name"], label)
            for part in parts
            if part.get("p_type") != "extended" or label == "gpt"
        ]
        taken: set[str] = set()
        for one in row["partitions"]:
            one["name"] = terms.free(one["name"], taken)
        return row

    def _match(self, disk: Element, device: str) -> str:
        if device in self.matches:
            return self.matches[device]
        if device.startswith("/dev/disk/by-"):
            return device
        if len(list(self.root.all("disk"))) == 1:
            return "auto"
        raise InputError(
            f"{device:.60} may be another disk after the next restart",
            f"say which it is: --match {device:.60}=SERIAL",
            str(disk.line),
        )

    def _partition(self, disk: Element, part: Element, name: str, label: str) -> dict[str, Any]:
        number = terms.number(part)
        if label == "gpt" and part.get("p_type") in ("extended", "logical"):
            raise terms.refused(part, f"p_type {part.get('p_type')!r} with gpt", "write primary")
        if part.get("p_type") == "logical":
            self._told(part, "a partition is logical here where its disk has more than four")
        flags = re.split(r"[,\s]+", part.get("flags"))
        for flag in flags:
            if flag not in _IDLE_FLAGS:
                self._told(part, f"the flag {flag!r:.40} is left out")
        row: dict[str, Any] = {
            "name": "",
            "size": terms.size(part, disk.get("unit_of_measurement")),
        }
        if "esp" in flags or part.get("id").lower() in ("ef", "0xef"):
            row |= {"role": "esp"}
        if "bios_grub" in flags:
            row |= {"role": "bios-boot"}
        if row["size"] == "grow":
            del row["size"]
        device = disk.get("dev")
        device += f"{'p' if device[-1:].isdigit() else ''}{number}"
        given = part.get("p_name")
        row["name"] = terms.name("" if given == "-" else given) or terms.name(
            {"esp": "esp", "bios-boot": "grub"}.get(row.get("role", ""), "")
            or self.places.get(device, "").strip("/").replace("/", "-")
            or ("root" if self.places.get(device) == "/" else f"part{number}")
        )
        if row["name"] == given:
            self.named.add(device)
        self.volumes[device] = (name, row)
        for key in ("raid_dev", "lvm_group"):
            if above := part.get(key):
                self._belongs(above, device, part)
        return row

    def _belongs(self, above: str, device: str, where: Element) -> None:
        self.members.setdefault(above, []).append(device)
        self.lines.setdefault(above, where.line)

    def _array(self, array: Element) -> dict[str, Any]:
        device = terms.need(array, "name")
        level = terms.need(array, "raid_level").lower()
        if level not in _LEVELS:
            raise terms.refused(array, f"RAID level {level!r:.40}", "use 0, 1, 5, 6 or 10")
        listed = re.split(r"[,\s]+", array.get("devices")) if array.get("devices") else []
        found = self.members.pop(device, [])
        members = found + [one for one in listed if one not in found]
        spares = (
            int(array.get("spare_devices") or "0") if terms.digits(array, "spare_devices") else 0
        )
        if terms.digits(array, "raid_devices") and int(array.get("raid_devices")) + spares != len(
            members
        ):
            raise InputError(
                f"{device:.60} has {len(members)} devices, and counts another number of them",
                "correct raid_devices, or raid_dev of its partitions",
                str(array.line),
            )
        for key in ("rounding", "layout", "chunk_size"):
            if array.get(key) not in ("", "0"):
                self._told(array, f"{key} is left out: md's own is taken")
        row: dict[str, Any] = {
            "name": terms.name(device.rpartition("/")[2]),
            "level": _LEVELS[level],
            "of": [self._reference(one, array) for one in members],
        }
        row |= {"spares": spares} if spares else {}
        self.volumes[device] = ("", row)
        if group := array.get("lvm_group"):
            self._belongs(group, device, array)
        return row

    def _group(self, group: Element) -> dict[str, Any]:
        name = terms.need(group, "name")
        members = self.members.pop(name, [])
        for key in ("max_log_vols", "max_phys_vols", "phys_extent_size"):
            if group.get(key) not in ("", "0", "-"):
                self._told(group, f"{key} is left out: LVM's own is taken")
        volumes = []
        for one in group.all("lv"):
            row: dict[str, Any] = {"name": terms.name(terms.need(one, "name"))}
            size = terms.volume_size(one)
            row |= {"size": size} if size != "grow" else {}
            if one.get("lv_options"):
                self._told(one, "lv_options are left out")
            volumes.append(row)
            plain = one.get("name")
            mapped = f"{name.replace('-', '--')}-{plain.replace('-', '--')}"
            for device in (f"/dev/{name}/{plain}", f"/dev/mapper/{mapped}"):
                self.volumes[device] = (terms.name(name), row)
        of = [self._reference(one, group) for one in members]
        return {"name": terms.name(name), "of": of, "volumes": volumes}

    def _reference(self, device: str, where: Element) -> str:
        if device not in self.volumes:
            raise InputError(f"there is no {device:.60}", "describe it before", str(where.line))
        above, row = self.volumes[device]
        return f"{above}/{row['name']}" if above else str(row["name"])

    def _file_system(self, entry: Element) -> None:
        device, kind = entry.get("real_dev"), entry.get("fs").lower()
        if not device and not kind:
            return  # a comment of fstab's
        if kind == "nfs":
            self._told(entry, "a file system of the network is left out")
            return
        if kind not in _FORMATS:
            raise terms.refused(
                entry, f"the file system {kind!r:.40}", "use ext4, xfs, btrfs or vfat"
            )
        if device not in self.volumes:
            raise InputError(f"there is no {device:.60}", "describe it", str(entry.line))
        if kind in ("ext2", "ext3"):
            self._told(entry, f"{kind} becomes ext4")
        if entry.get("mkfs_opts"):
            self._told(entry, "mkfs_opts are left out")
        row, place = self.volumes[device][1], entry.get("mp")
        if "format" in row:
            raise InputError(f"{device:.60} is described twice", "once is enough", str(entry.line))
        if place == "/boot/efi" and "level" not in row:
            row["role"] = "esp"
        if row.get("role") == "esp":
            return
        row["format"] = _FORMATS[kind]
        if place.startswith("/"):
            row["mount"] = place
        options = [one for one in entry.get("options").split(",") if one not in ("", "defaults")]
        row |= {"options": options} if options and options != ["sw"] else {}
        label = entry.get("mount_dev")
        row |= {"label": label.removeprefix("LABEL=")} if label.startswith("LABEL=") else {}
        if entry.get("format").lower() in ("no", "n"):
            self._keep(entry, device, row)

    def _keep(self, entry: Element, device: str, row: dict[str, Any]) -> None:
        if device not in self.named:
            raise terms.refused(
                entry,
                f'format="no" for {device:.60}, which is no partition with a p_name',
                "leave format out, or name the partition as the disk has it",
            )
        row["keep"] = True

    def _told(self, where: Element, text: str) -> None:
        self.notes.append((where.line, text))
