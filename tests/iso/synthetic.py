"""Images that no program would make: written octet by octet, as sparse as one likes."""

from __future__ import annotations

import struct
from binascii import crc_hqx
from dataclasses import dataclass, field

from ironwake.iso.image import Image, Limits

SECTOR = 2048


@dataclass
class Sparse:
    """An image of any size, of which only some stretches are not zero."""

    size: int
    stretches: dict[int, bytes] = field(default_factory=dict)

    def image(self, limits: Limits | None = None) -> Image:
        return Image(self.size, self.read, limits or Limits())

    def read(self, offset: int, size: int) -> bytes:
        out = bytearray(max(0, min(size, self.size - offset)))
        for start, data in self.stretches.items():
            first, last = max(start, offset), min(start + len(data), offset + len(out))
            if first < last:
                out[first - offset : last - offset] = data[first - start : last - start]
        return bytes(out)

    def put(self, sector: int, data: bytes) -> None:
        self.stretches[sector * SECTOR] = data


def both(number: int) -> bytes:
    """Both byte orders, as ECMA-119 has numbers."""
    return struct.pack("<I", number) + struct.pack(">I", number)


def record(
    name: bytes, sector: int, size: int, flags: int = 0, use: bytes = b"", gap: int = 0
) -> bytes:
    """A directory record (ECMA-119 section 9.1)."""
    body = both(sector) + both(size) + bytes(7) + bytes((flags, 0, gap)) + b"\1\0\0\1"
    body += bytes((len(name),)) + name + (b"" if len(name) % 2 else b"\0") + use
    body += b"" if len(body) % 2 == 0 else b"\0"
    return bytes((len(body) + 2, 0)) + body


def folder(*records: bytes, sector: int, parent: int) -> bytes:
    """A directory of one sector, with itself and its parent in front."""
    own = record(b"\0", sector, SECTOR, 2) + record(b"\1", parent, SECTOR, 2)
    return (own + b"".join(records)).ljust(SECTOR, b"\0")


def iso(size: int, root: bytes, at: int = 20, says: int | None = None) -> Sparse:
    """ISO 9660 with this root directory at that sector; it `says` that it has so many sectors."""
    made = Sparse(size)
    raw = bytearray(SECTOR)
    raw[:7] = b"\1CD001\1"
    raw[40:72] = b"SYNTHETIC".ljust(32)
    raw[80:88] = both(says if says is not None else size // SECTOR)
    raw[128:132] = struct.pack("<H", SECTOR) + struct.pack(">H", SECTOR)
    raw[156:190] = record(b"\0", at, max(SECTOR, len(root)), 2)
    made.put(16, bytes(raw))
    end = bytearray(SECTOR)
    end[:7] = b"\xffCD001\1"
    made.put(17, bytes(end))
    made.put(at, root)
    return made


def tagged(number: int, body: bytes, size: int = SECTOR) -> bytes:
    """A UDF descriptor with its tag (ECMA-167 section 3/7.2); `body` begins after the tag."""
    body = body.ljust(size - 16, b"\0")
    tag = bytearray(struct.pack("<HHBBHHHI", number, 2, 0, 0, 0, crc_hqx(body, 0), len(body), 0))
    tag[4] = sum((*tag[:4], *tag[5:16])) % 256
    return bytes(tag) + body


def long_ad(length: int, block: int, part: int = 0) -> bytes:
    return struct.pack("<IIH", length, block, part) + bytes(6)


def short_ads(*extents: tuple[int, int]) -> bytes:
    return b"".join(struct.pack("<II", length, block) for length, block in extents)


def file_entry(kind: int, size: int, descriptors: bytes, form: int = 0) -> bytes:
    body = bytearray(160)
    body[11] = kind
    struct.pack_into("<H", body, 18, form)
    struct.pack_into("<Q", body, 40, size)
    struct.pack_into("<II", body, 152, 0, len(descriptors))
    return tagged(261, bytes(body) + descriptors)


def identifier(name: str, block: int, flags: int = 0) -> bytes:
    """A file identifier descriptor (4/14.4)."""
    text = b"\x08" + name.encode("latin-1") if name else b""
    body = struct.pack("<HBB", 1, flags, len(text)) + long_ad(SECTOR, block)
    body += struct.pack("<H", 0) + text
    whole = 16 + len(body)
    return tagged(257, body, whole + -whole % 4)


def udf(size: int, entries: dict[int, bytes], root: int = 2, start: int = 300) -> Sparse:
    """A volume with these blocks in its partition; block 0 is the file set."""
    made = Sparse(size)
    for sector, mark in ((16, b"BEA01"), (17, b"NSR02"), (18, b"TEA01")):
        made.put(sector, b"\0" + mark + b"\1")
    made.put(256, tagged(2, struct.pack("<II", 4 * SECTOR, 257)))
    partition = bytearray(180)
    struct.pack_into("<II", partition, 172, start, size // SECTOR - start)
    made.put(257, tagged(5, bytes(partition)))
    logical = bytearray(430)
    logical[68 : 68 + 4] = b"\x08UDF"
    logical[195] = 4
    struct.pack_into("<I", logical, 196, SECTOR)
    logical[232:248] = long_ad(SECTOR, 0)
    struct.pack_into("<II", logical, 248, 6, 1)
    logical[424:430] = b"\1\6" + struct.pack("<HH", 1, 0)
    made.put(258, tagged(6, bytes(logical)))
    made.put(259, tagged(8, b""))
    files = bytearray(496)
    files[384:400] = long_ad(SECTOR, root)
    made.put(start, tagged(256, bytes(files), 512))
    for block, data in entries.items():
        made.put(start + block, data)
    return made
