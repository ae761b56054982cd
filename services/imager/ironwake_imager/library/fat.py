"""The names in folders of a FAT file system, read with mistrust.

For one question only: which loaders are in an EFI system partition. Their names are short ones
(8.3), so long names are passed over. After Microsoft's FAT specification 1.03, which UEFI 2.10
§13.3 refers to.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ironwake.errors import RefusedError
from ironwake.partitions import Read

_HEAD: Final = struct.Struct("<HBHBHHxH8xI")
_ENTRY: Final = 32
_FOLDER: Final = 0x10
_LONG: Final = 0x0F
_LABEL: Final = 0x08
_LARGEST: Final = 2 << 20  # octets of one folder: FAT's own limit is 65,536 entries


class FatError(RefusedError):
    """What is there is no FAT that could be read."""


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    folder: bool
    cluster: int


class Fat:
    """One file system.

    :param read: from its own first octet
    :raises FatError: it is none
    """

    def __init__(self, read: Read) -> None:
        head = read(0, 512)
        if len(head) < 512 or head[510:] != b"\x55\xaa":
            raise FatError("there is no FAT file system")
        (sector, self._per, reserved, copies, slots, small, short, large) = _HEAD.unpack_from(
            head, 11
        )
        long, root = struct.unpack_from("<I4xI", head, 36)
        length, total = short or long, small or large
        if sector not in (512, 1024, 2048, 4096) or self._per & (self._per - 1) or not self._per:
            raise FatError("the FAT file system has no sectors")
        folder = -(-slots * _ENTRY // sector)
        data = reserved + copies * length + folder
        if not reserved or not copies or not length or total <= data:
            raise FatError("the FAT file system has no place for files")
        self._read = read
        self._table = reserved * sector
        self._fixed = ((reserved + copies * length) * sector, folder * sector)
        self._data = data * sector
        self._unit = self._per * sector
        self._clusters = (total - data) // self._per
        # The number of clusters alone says which of the three it is.
        self._bits = 12 if self._clusters < 4085 else 16 if self._clusters < 65525 else 32
        self._root = root if self._bits == 32 else 0
        self._most = length * sector

    def names(self, *folders: str) -> tuple[str, ...]:
        """The files in a folder, in capital letters; none where there is no such folder."""
        cluster = self._root
        for wanted in folders:
            inside = (entry for entry in self._entries(cluster) if entry.folder)
            entry = next((entry for entry in inside if entry.name == wanted), None)
            if entry is None:
                return ()
            cluster = entry.cluster
        return tuple(entry.name for entry in self._entries(cluster) if not entry.folder)

    def _entries(self, cluster: int) -> Iterator[_Entry]:
        raw = self._folder(cluster)
        for place in range(0, len(raw) - _ENTRY + 1, _ENTRY):
            entry = raw[place : place + _ENTRY]
            if not entry[0]:
                return
            if entry[0] == 0xE5 or entry[11] & _LONG == _LONG or entry[11] & _LABEL:
                continue
            stem = entry[:8].decode("latin-1").rstrip()
            suffix = entry[8:11].decode("latin-1").rstrip()
            high, low = struct.unpack_from("<H4xH", entry, 20)
            name = f"{stem}.{suffix}" if suffix else stem
            yield _Entry(name, bool(entry[11] & _FOLDER), high << 16 | low)

    def _folder(self, cluster: int) -> bytes:
        if not cluster:
            return self._read(*self._fixed)
        parts: list[bytes] = []
        seen: set[int] = set()
        while 2 <= cluster < self._clusters + 2:
            if cluster in seen or len(seen) * self._unit > _LARGEST:
                raise FatError("a folder of the FAT file system has no end")
            seen.add(cluster)
            parts.append(self._read(self._data + (cluster - 2) * self._unit, self._unit))
            cluster = self._next(cluster)
        return b"".join(parts)

    def _next(self, cluster: int) -> int:
        place = cluster * self._bits // 8
        if place + 4 > self._most + 4:
            raise FatError("the FAT file system's table is too short")
        raw = self._read(self._table + place, 4).ljust(4, b"\0")
        value = int.from_bytes(raw, "little")
        if self._bits == 12:
            return (value >> 4 if cluster % 2 else value) & 0xFFF
        return value & (0xFFFF if self._bits == 16 else 0x0FFFFFFF)
