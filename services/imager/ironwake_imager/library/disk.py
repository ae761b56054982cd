"""Whole disks from outside, each made a pack and its index: `recognise` and `bring_in`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from ironwake.artifact import Fact
from ironwake.errors import InputError, RefusedError
from ironwake.firmware import Architecture
from ironwake.image import ImageKind
from ironwake.partitions import Found, find
from ironwake.progress import Progress
from ironwake.sizes import size_text
from ironwake_imager.library import look, packages, packing, qcow2

# First octets of what people give, and what it is; (where, octets)
_OTHERS: Final = {
    "a VMDK": (0, b"KDMV"),
    "a VHDX": (0, b"vhdxfile"),
    "a VHD": (0, b"conectix"),
    "a VDI": (0x40, b"\x7f\x10\xda\xbe"),
    "packed by gzip": (0, b"\x1f\x8b"),
    "packed by xz": (0, b"\xfd7zXZ\0"),
    "packed by zstd": (0, b"\x28\xb5\x2f\xfd"),
    "packed by bzip2": (0, b"BZh"),
    "a zip file": (0, b"PK\x03\x04"),
    "an ISO 9660 file system": (0x8001, b"CD001"),
    "a squashfs file system": (0, b"hsqs"),
}


class Format(StrEnum):
    RAW = "raw"
    QCOW2 = "qcow2"


@dataclass(frozen=True)
class Wishes:
    """What a person says of a disk.

    `format` is None to go by the first octets. `bare`: a disk without a partition table is meant.
    `architecture`: where it cannot be seen. `largest`: bytes that the disk may have.
    """

    format: Format | None = None
    bare: bool = False
    architecture: Architecture | None = None
    largest: int = 2 << 40


@dataclass(frozen=True)
class Disk:
    """What came out, in the folder that it was made in.

    `files`: role → file, "pack" and "index", and "packages" where somebody knows them. `facts`:
    image_kind, architecture, boot_modes, kernel, family, table, sector, logical_bytes, held_bytes
    (what is not zeroes), least_disk, content_sha256, source.
    """

    files: Mapping[str, Path]
    facts: Mapping[str, Fact]


def recognise(path: Path) -> Format:
    """The format, by the first octets; RefusedError names what it is instead."""
    with path.open("rb") as stream:
        head = stream.read(0x9000)
    if head.startswith(qcow2.MAGIC):
        return Format.QCOW2
    for what, (place, octets) in _OTHERS.items():
        if head[place : place + len(octets)] == octets:
            raise RefusedError(
                f"it is {what}",
                "give a raw disk or a qcow2: unpack it, or use qemu-img convert -O qcow2",
            )
    return Format.RAW


def bring_in(path: Path, work: Path, progress: Progress, wishes: Wishes) -> Disk:
    """Make a pack of what is there, in `work`; nothing is written anywhere else.

    :raises RefusedError: it must not become an image
    """
    disk = _raw(path, work, progress, wishes)
    table = Found("") if wishes.bare else _table(disk)
    progress("disk", None, "looking at what is on it")
    seen = look.at(disk, table)
    if wishes.architecture and seen.architecture not in (None, wishes.architecture):
        raise InputError(f"it is of {seen.architecture}, not of {wishes.architecture}")
    files = {"pack": work / "pack", "index": work / "index"}

    def told(done: int, whole: int) -> None:
        progress("disk", done / whole, f"packing {size_text(whole)}")

    with files["pack"].open("wb") as target:
        packed = packing.pack(disk, target, told)
    files["index"].write_bytes(packed.index.encode())
    if seen.packages:
        files["packages"] = work / "packages.txt"
        files["packages"].write_text(packages.text(seen.packages), encoding="utf-8")
    facts: dict[str, Fact] = {
        "image_kind": ImageKind.DISK.value,
        "architecture": str(wishes.architecture or seen.architecture or ""),
        "boot_modes": ",".join(seen.boot_modes),
        "kernel": seen.kernel,
        "family": seen.family,
        "table": table.kind,
        "sector": table.sector,
        "logical_bytes": packed.index.size,
        "held_bytes": packed.index.held,
        "least_disk": packed.index.size,
        "content_sha256": packed.sha256,
        "source": str(wishes.format or recognise(path)),
    }
    return Disk(files, facts)


def _raw(path: Path, work: Path, progress: Progress, wishes: Wishes) -> Path:
    """The disk as a raw file in `work`, or a link to it."""
    disk = work / "disk"
    if (wishes.format or recognise(path)) is Format.RAW:
        size = path.stat().st_size
        if not 0 < size <= wishes.largest:
            raise RefusedError(
                f"it has {size} bytes, and may have {wishes.largest}",
                "raise IRONWAKE_IMAGE_LARGEST if that is meant",
            )
        disk.symlink_to(path.absolute())
        return disk
    qcow2.to_raw(
        path,
        disk,
        qcow2.size(path, wishes.largest),
        lambda part: progress("qcow2", part, "making a raw disk of it"),
    )
    return disk


def _table(disk: Path) -> Found:
    with disk.open("rb") as stream:

        def read(place: int, length: int) -> bytes:
            stream.seek(place)
            return stream.read(length)

        table = find(read, disk.stat().st_size)
    if not table.kind:
        raise RefusedError(
            "it has no partition table",
            "if one file system is all that the disk shall hold, say so with --bare",
        )
    return table
