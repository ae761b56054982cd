"""What an image of a disk holds, as far as plain tools tell without mounting anything.

What cannot be read is not known, and no error: an image may be of any system.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ironwake.disk import Part
from ironwake.errors import IronwakeError
from ironwake.firmware import Architecture
from ironwake.partitions import BIOS_BOOT, ESP, ESP_MSDOS, Found, Read
from ironwake_imager.library import packages, tools
from ironwake_imager.library.fat import Fat, FatError

# UEFI 2.10 §3.5.1.1: what firmware starts of a disk that it does not know.
_LOADERS: Final = {
    "BOOTX64.EFI": Architecture.AMD64,
    "BOOTAA64.EFI": Architecture.ARM64,
}
_EXT: Final = (1024 + 56, b"\x53\xef")  # the magic number of ext2, ext3, ext4
_KERNEL: Final = "vmlinuz-"


@dataclass(frozen=True)
class Look:
    """`packages` are (name, version); what nobody knows is empty."""

    boot_modes: tuple[str, ...] = ()
    architecture: Architecture | None = None
    kernel: str = ""
    family: str = ""
    packages: tuple[tuple[str, str], ...] = ()


def at(disk: Path, table: Found) -> Look:
    """Look at a raw disk. Its path has no question mark: debugfs takes options after one."""
    loaders = _loaders(disk, table)
    bios = table.boot_code and (
        table.kind == "msdos" or any(part.type == BIOS_BOOT for part in table.parts)
    )
    modes = (*(("bios",) if bios else ()), *(("uefi",) if loaders else ()))
    architectures = {_LOADERS[name] for name in loaders} | ({Architecture.AMD64} if bios else set())
    roots = [_Ext(disk, part) for part in table.parts if _is_ext(disk, part)]
    if table.kind == "" and _is_ext(disk, Part(0, 0, 0)):
        roots = [_Ext(disk, Part(0, 0, 0))]
    return Look(
        boot_modes=modes,
        architecture=architectures.pop() if len(architectures) == 1 else None,
        kernel=_first(_kernel(root) for root in roots),
        family=_first(packages.family(root.text("/usr/lib/os-release")) for root in roots),
        packages=next(
            (
                found
                for root in roots
                if (found := packages.dpkg(root.text("/var/lib/dpkg/status")))
            ),
            (),
        ),
    )


def _loaders(disk: Path, table: Found) -> frozenset[str]:
    """The loaders of all EFI system partitions that a firmware would find by itself."""
    found: set[str] = set()
    for part in table.parts:
        if part.type not in (ESP, ESP_MSDOS):
            continue
        try:
            found.update(Fat(_reader(disk, part)).names("EFI", "BOOT"))
        except FatError:
            continue
    return frozenset(found) & _LOADERS.keys()


def _reader(disk: Path, part: Part) -> Read:
    def read(place: int, length: int) -> bytes:
        if not 0 <= place <= part.size:
            return b""
        with disk.open("rb") as stream:
            return os.pread(stream.fileno(), min(length, part.size - place), part.start + place)

    return read


def _is_ext(disk: Path, part: Part) -> bool:
    place, magic = _EXT
    with disk.open("rb") as stream:
        return os.pread(stream.fileno(), len(magic), part.start + place) == magic


class _Ext:
    """An ext4 file system, read by debugfs: it mounts nothing, and the kernel sees none of it."""

    def __init__(self, disk: Path, part: Part) -> None:
        self._device = f"{disk}?offset={part.start}"

    def text(self, path: str) -> str:
        """A file's text; "" where it cannot be had."""
        return self._run(f"cat {path}")

    def names(self, folder: str) -> list[str]:
        """What is in a folder; none where it cannot be had."""
        # /inode/mode/uid/gid/name/size/
        rows = (line.split("/") for line in self._run(f"ls -p {folder}").splitlines())
        return [row[5] for row in rows if len(row) > 5]

    def _run(self, request: str) -> str:
        try:
            # -c: the maps of what is free are not needed, and may be damaged
            return tools.told(["debugfs", "-c", "-R", request, self._device]).decode(
                errors="replace"
            )
        except IronwakeError:
            return ""


def _kernel(root: _Ext) -> str:
    """The newest kernel's version: of a root's /boot, or of a partition that is /boot."""
    found = [name for name in (*root.names("/boot"), *root.names("/")) if name.startswith(_KERNEL)]
    versions = [name.removeprefix(_KERNEL) for name in found]
    return max(versions, key=_by_numbers, default="")


def _by_numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"[0-9]+", version)]


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")
