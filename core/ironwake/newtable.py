"""A disk's partition table for the disk that its image goes on: grown, and with ids of its own.

Bytes in, bytes out; GPT after UEFI 2.10 §5.3. What the table says otherwise stays to the bit:
names, attributes, types, boot code, the order of entries.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ironwake.disk import Part
from ironwake.errors import RefusedError
from ironwake.layout.identity import Identity
from ironwake.partitions import BIOS_BOOT, ESP, Found
from ironwake.sizes import MIB

_HEADER = struct.Struct("<8sIIII4Q16sQIII")
_SECTOR = 512  # an MSDOS table's unit, always
_RECORDS, _RECORD = 446, 16
_PROTECTIVE, _EXTENDED = 0xEE, (0x05, 0x0F, 0x85)
_SIGNATURE = 440  # an MSDOS table's number, 4 octets
_MOST = 0xFFFFFFFF
# Nobody's data is in these: the last of them is as large as it has to be.
_FIXED = (
    *(ESP, BIOS_BOOT, "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"),
    *("ef", "82", "e3c9e316-0b5c-4db8-817d-f92df00215ae"),
)


@dataclass(frozen=True)
class NewTable:
    """What is to be written, and what it means.

    :ivar head: the disk's first bytes, as many as were given
    :ivar old: the partitions as the image has them
    :ivar end: what stands at `end_at` (GPT's second copy); empty for an MSDOS table
    :ivar parts: the partitions as they are then
    :ivar grown: the number of the partition that has grown, 0 for none
    :ivar ids: old PARTUUID → new one, lower case; also the disk's own, as `blkid` shows PTUUID
    """

    head: bytes
    parts: tuple[Part, ...]
    old: tuple[Part, ...]
    end: bytes = b""
    end_at: int = 0
    grown: int = 0
    ids: Mapping[str, str] = field(default_factory=dict)


def new_table(head: bytes, found: Found, size: int, identity: Identity | None) -> NewTable:
    """The table for a disk of `size` bytes.

    :param head: the image's first bytes, with all of its first table in them
    :param found: what `partitions.find` says of the image
    :param identity: gives new ids; None keeps them
    :raises RefusedError: the table does not stand in the head
    """
    if found.kind == "gpt":
        return _Gpt(head, found, size, identity).made()
    if found.kind == "msdos":
        return _msdos(head, found, size, identity)
    return NewTable(head, found.parts, found.parts)


class _Gpt:
    def __init__(self, head: bytes, found: Found, size: int, identity: Identity | None) -> None:
        self._head = bytearray(head)
        self._found = found
        self._sector = found.sector
        self._sectors = size // found.sector
        self._identity = identity
        row = _HEADER.unpack_from(head, found.sector)
        (_, _, self._length, _, _, _, _, self._first, _, guid) = row[:10]
        self._entries, self._count, self._width, _ = row[10:]
        self._guid = uuid.UUID(bytes_le=guid)
        begin, length = self._entries * self._sector, self._count * self._width
        if begin + length > len(head):
            raise RefusedError(
                f"the image's partition table stands at byte {begin}, beyond its first MiB",
                "make the image anew from a disk that sfdisk has divided",
            )
        self._raw = bytearray(head[begin : begin + length])

    def made(self) -> NewTable:
        parts, ids = [], {}
        grown = _last(self._found.parts)
        end = self._room_end()
        if grown and grown.start + grown.size >= end:
            grown = None
        for part in self._found.parts:
            now = replace(part, size=end - part.start) if part == grown else part
            if self._identity:
                now = replace(now, uuid=self._identity.of("image", str(part.number)))
                ids[part.uuid] = now.uuid
            self._put(now)
            parts.append(now)
        if self._identity:
            ids[str(self._guid)] = self._identity.of("image")
            self._guid = uuid.UUID(self._identity.of("image"))
        return self._written(tuple(parts), ids, grown.number if grown else 0)

    def _room_end(self) -> int:
        """Where partitions end at the latest, in bytes: whole MiB."""
        return (self._last_usable() + 1) * self._sector // MIB * MIB

    def _last_usable(self) -> int:
        return self._sectors - 2 - self._table_sectors()

    def _table_sectors(self) -> int:
        return -(-len(self._raw) // self._sector)

    def _put(self, part: Part) -> None:
        at = (part.number - 1) * self._width
        last = (part.start + part.size) // self._sector - 1
        self._raw[at + 16 : at + 32] = uuid.UUID(part.uuid).bytes_le
        struct.pack_into("<Q", self._raw, at + 40, last)

    def _written(self, parts: tuple[Part, ...], ids: dict[str, str], grown: int) -> NewTable:
        head, sector, last = self._head, self._sector, self._sectors - 1
        head[sector : sector + _HEADER.size] = self._header(1, last, self._entries)[: _HEADER.size]
        begin = self._entries * sector
        head[begin : begin + len(self._raw)] = self._raw
        self._protect()
        copy = last - self._table_sectors()
        end = bytes(self._raw).ljust(self._table_sectors() * sector, b"\0")
        end += self._header(last, 1, copy).ljust(sector, b"\0")
        return NewTable(bytes(head), parts, self._found.parts, end, copy * sector, grown, ids)

    def _header(self, own: int, other: int, entries: int) -> bytes:
        row = (
            *(b"EFI PART", 0x10000, self._length, 0, 0, own, other, self._first),
            *(self._last_usable(), self._guid.bytes_le, entries, self._count, self._width),
            zlib.crc32(self._raw),
        )
        # Of a header that is longer than what we know, the rest counts for the checksum, too.
        rest = self._head[self._sector + _HEADER.size : self._sector + self._length]
        raw = bytearray(_HEADER.pack(*row) + rest)
        struct.pack_into("<I", raw, 16, zlib.crc32(raw))
        return bytes(raw)

    def _protect(self) -> None:
        for at in range(_RECORDS, _RECORDS + 4 * _RECORD, _RECORD):
            if self._head[at + 4] == _PROTECTIVE:
                struct.pack_into("<I", self._head, at + 12, min(self._sectors - 1, _MOST))
                return


def _msdos(head: bytes, found: Found, size: int, identity: Identity | None) -> NewTable:
    raw = bytearray(head)
    grown = _last(found.parts)
    end = min(size // MIB * MIB, _MOST * _SECTOR)
    if grown and (grown.number > 4 or grown.start + grown.size >= end):
        grown = None  # a logical one: its end is that of the extended one around it
    old = f"{struct.unpack_from('<I', head, _SIGNATURE)[0]:08x}"
    new = identity.of("image")[:8] if identity else old
    ids = {old: new} if identity else {}
    parts = []
    for part in found.parts:
        now = replace(part, size=end - part.start) if part == grown else part
        if now is not part:
            at = _RECORDS + (part.number - 1) * _RECORD
            raw[at + 5 : at + 8] = b"\xfe\xff\xff"  # further than cylinders can say
            struct.pack_into("<I", raw, at + 12, now.size // _SECTOR)
        if identity:
            ids[f"{old}-{part.number:02x}"] = f"{new}-{part.number:02x}"
        parts.append(replace(now, uuid=f"{new}-{part.number:02x}"))
    struct.pack_into("<I", raw, _SIGNATURE, int(new, 16))
    number = grown.number if grown else 0
    return NewTable(bytes(raw), tuple(parts), found.parts, grown=number, ids=ids)


def _last(parts: tuple[Part, ...]) -> Part | None:
    """The one that may grow: nothing stands behind it, and something of somebody stands in it."""
    last = max(parts, key=lambda part: part.start, default=None)
    return None if last is None or last.type.lower() in _FIXED else last
