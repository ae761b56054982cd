"""Rock Ridge: what stands in the system use areas of directory records (SUSP, IEEE P1281, P1282).

Of its entries these count: NM (name), SL (symbolic link), PX (mode), CL and RE (a folder that was
moved, since ISO 9660 has only eight levels), ZF (packed), CE (the entries go on elsewhere).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from ironwake.iso.image import Image, IsoError

_AREAS = 16  # in which the entries of one record stand, at most
_LONGEST = 4096  # octets of a name or a target, as Linux has it (PATH_MAX)
_CONTINUES = 1
_CURRENT, _PARENT, _ROOT = 2, 4, 8
_WORDS = {_CURRENT: b".", _PARENT: b"..", _ROOT: b""}
_TYPE, _LINK, _FILE = 0o170000, 0o120000, 0o100000


class Kind(Enum):
    """What a record is of. Devices and pipes are nothing that anybody could fetch."""

    FILE = auto()
    LINK = auto()
    OTHER = auto()


@dataclass
class Said:
    """What one record's area says. `child`: the block of a folder that stands elsewhere."""

    name: bytes = b""
    kind: Kind = Kind.FILE
    target: bytes = b""
    child: int | None = None
    is_moved: bool = False
    is_packed: bool = False


def begins(use: bytes) -> int | None:
    """Bytes to skip in each area, where the root's own says that the protocol is in use."""
    if len(use) >= 7 and use[:2] == b"SP" and use[4:6] == b"\xbe\xef":
        return use[6]
    return None


def read(use: bytes, image: Image, block: int) -> Said:
    """What an area says, and the areas where it goes on."""
    said, begun = Said(), False
    for name, data in _entries(use, image, block):
        if name == b"NM" and data:
            if not data[0] & (_CURRENT | _PARENT):
                said.name += data[1:]
        elif name == b"SL" and data:
            said.kind = Kind.LINK
            begun = _link(said, data[1:], begun)
        elif name == b"PX" and len(data) >= 4:
            mode = struct.unpack_from("<I", data)[0] & _TYPE
            if mode == _LINK:
                said.kind = Kind.LINK
            elif mode and mode not in (_FILE, 0o040000):
                said.kind = Kind.OTHER
        elif name == b"CL" and len(data) >= 4:
            (said.child,) = struct.unpack_from("<I", data)
        elif name == b"RE":
            said.is_moved = True
        elif name == b"ZF":
            said.is_packed = True
        if max(len(said.name), len(said.target)) > _LONGEST:
            raise IsoError("this ISO has a name of more octets than any file's")
    return said


def _entries(use: bytes, image: Image, block: int) -> Iterator[tuple[bytes, bytes]]:
    for _ in range(_AREAS):
        more: tuple[int, int, int] | None = None
        at = 0
        while at + 4 <= len(use):
            name, length = use[at : at + 2], use[at + 2]
            if length < 4 or at + length > len(use):
                break  # padding
            data = use[at + 4 : at + length]
            if name == b"CE" and len(data) >= 24:
                more = struct.unpack_from("<I4xI4xI", data)
            elif name == b"ST":
                break
            else:
                yield name, data
            at += length
        if more is None:
            return
        number, offset, size = more
        if offset + size > 1 << 16:
            raise IsoError("this ISO has a file whose name is nowhere")
        use = image.at(number * block + offset, size)
    raise IsoError("this ISO has a file whose name has no end")


def _link(said: Said, data: bytes, begun: bool) -> bool:
    """The components of a target; whether the last one goes on in the next entry."""
    at = 0
    while at + 2 <= len(data):
        flags, length = data[at], data[at + 1]
        word = data[at + 2 : at + 2 + length]
        for flag, meant in _WORDS.items():
            if flags & flag:
                word = meant
        if begun or not said.target:
            said.target += word or (b"/" if flags & _ROOT else b"")
        else:
            said.target += (b"" if said.target.endswith(b"/") else b"/") + word
        begun = bool(flags & _CONTINUES)
        at += 2 + length
    return begun
