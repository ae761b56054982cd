"""A root file system as tar, in one form: numeric owners, whole seconds, pax where ustar ends.

The order is the safety: folders first, then files, then symbolic links, devices and pipes, then
further names of files. Nothing is ever written below a link, whoever unpacks it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from ironwake.rootfs.header import BLOCK
from ironwake.rootfs.member import Kind, Member, octets_of

END: Final = bytes(20 * BLOCK)
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")
_TYPES: Final = {
    Kind.FILE: b"0",
    Kind.HARDLINK: b"1",
    Kind.SYMLINK: b"2",
    Kind.CHARACTER: b"3",
    Kind.BLOCK: b"4",
    Kind.DIRECTORY: b"5",
    Kind.FIFO: b"6",
}
_NAME: Final = 100
_SHORT, _LONG = 8**7 - 1, 8**11 - 1  # what octal fields hold


def head(member: Member) -> bytes:
    """All that stands before a member's contents."""
    name, link = octets_of(f"./{member.path}"), octets_of(member.link)
    if member.kind is Kind.DIRECTORY and member.path:
        name += b"/"
    if member.kind is Kind.HARDLINK:
        link = b"./" + link
    records = dict(member.extended)
    holes = b""
    size = member.stored
    if member.extents is not None:
        holes = _holes(member)
        size += len(holes)
        records |= {
            "GNU.sparse.major": b"1",
            "GNU.sparse.minor": b"0",
            "GNU.sparse.name": name,
            "GNU.sparse.realsize": b"%d" % member.size,
        }
        name = b"./sparse"
    elif len(name) > _NAME:
        records["path"] = name
    if len(link) > _NAME:
        records["linkpath"] = link
    for key, value, most in (
        ("uid", member.uid, _SHORT),
        ("gid", member.gid, _SHORT),
        ("size", size, _LONG),
        ("mtime", member.mtime, _LONG),
    ):
        if not 0 <= value <= most:
            records[key] = b"%d" % value
    before = _records(records) if records else b""
    return before + _block(name, member, size, link, _TYPES[member.kind]) + holes


def padding(member: Member) -> bytes:
    """What stands after a member's contents."""
    return bytes(-member.stored % BLOCK)


def _records(records: Mapping[str, bytes]) -> bytes:
    lines = b"".join(_record(octets_of(key), value) for key, value in sorted(records.items()))
    owner = Member("", Kind.FILE, 0o644, 0, 0, 0)
    return _block(b"././@PaxHeader", owner, len(lines), b"", b"x") + _padded(lines)


def _record(key: bytes, value: bytes) -> bytes:
    """A line that begins with its own length."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _holes(member: Member) -> bytes:
    extents = [extent for extent in member.extents or () if extent[1]]
    if not extents or sum(extents[-1]) < member.size:
        extents.append((member.size, 0))  # or GNU tar leaves out a hole at the end
    numbers = [len(extents), *(number for extent in extents for number in extent)]
    return _padded(b"".join(b"%d\n" % number for number in numbers))


def _block(name: bytes, member: Member, size: int, link: bytes, kind: bytes) -> bytes:
    fields = [
        name[:_NAME],
        b"%07o" % member.mode,
        b"%07o" % _fit(member.uid, _SHORT),
        b"%07o" % _fit(member.gid, _SHORT),
        b"%011o" % _fit(size, _LONG),
        b"%011o" % _fit(member.mtime, _LONG),
        b" " * 8,
        kind,
        link[:_NAME],
        b"ustar\0",
        b"00",
        b"",
        b"",
        *(b"%07o" % _fit(number, _SHORT) for number in member.device),
        b"",
    ]
    fields[6] = b"%06o\0 " % sum(_HEADER.pack(*fields))
    return _HEADER.pack(*fields)


def _fit(number: int, most: int) -> int:
    return min(max(number, 0), most)


def _padded(raw: bytes) -> bytes:
    return raw + bytes(-len(raw) % BLOCK)
