"""A tar's header blocks and extended records (POSIX.1-2017 pax, "ustar Interchange Format"; GNU).

Strict, for two programs shall never read one archive differently: what is ambiguous is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from ironwake.rootfs.member import RootError, shown, text_of

BLOCK: Final = 512

_LAYOUT = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_ZEROES = bytes(BLOCK)
_SPARSE_IN_HEADER, _EXTENDED_FLAG, _REAL_SIZE = 386, 482, slice(483, 495)
_SPARSE_IN_BLOCK, _MORE_FLAG = 21, 504
_PAIR = 24


class Header(NamedTuple):
    """The fields of one block, with nothing said yet by records before it."""

    name: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    kind: bytes
    link: bytes
    device: tuple[int, int]


def parse(block: bytes) -> Header | None:
    """Read one header; None for the block of zeroes that ends an archive."""
    if block == _ZEROES:
        return None
    (name, mode, uid, gid, size, mtime, check, kind, link, magic, _, _, major, minor, prefix) = (
        _LAYOUT.unpack(block)
    )
    name = _text(name)
    if _number(check, name) != sum(block) - sum(check) + 8 * 0x20:
        raise RootError("the archive is damaged: a header's checksum is wrong", "", shown_raw(name))
    if magic == b"ustar\x0000" and prefix[0]:
        name = _text(prefix) + b"/" + name
    device = (0, 0)
    if kind in b"34":
        device = _number(major, name), _number(minor, name)
    return Header(
        name,
        _number(mode, name) & 0o7777,
        _number(uid, name),
        _number(gid, name),
        _number(size, name),
        _signed(mtime, name),
        kind,
        _text(link),
        device,
    )


def records(raw: bytes, name: str) -> dict[str, bytes]:
    """The records of a pax header: `length key=value\\n`, each key once."""
    found: dict[str, bytes] = {}
    place = 0
    while place < len(raw):
        blank = raw.find(b" ", place, place + 12)
        digits = raw[place:blank]
        if blank < 0 or not digits.isdigit():
            raise RootError("an extended header has no lengths", "", name)
        end = place + int(digits)
        key, equals, value = raw[blank + 1 : end - 1].partition(b"=")
        if end > len(raw) or end <= blank + 1 or raw[end - 1 : end] != b"\n" or not equals:
            raise RootError("an extended header is cut off", "", name)
        word = text_of(key)
        if word in found:
            raise RootError(f"an extended header says {word[:60]!r} twice", "", name)
        found[word] = value
        place = end
    return found


def decimal(value: bytes, name: str) -> int:
    """A record's number; a time's fraction is left out."""
    whole = value.partition(b".")[0]
    digits = whole.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > 19:
        raise RootError(f"{value[:40]!r} in an extended header is no number", "", name)
    return int(whole)


def old_sparse(block: bytes, name: str) -> tuple[list[tuple[int, int]], int, bool]:
    """(extents, real size, whether more follow) of a header of GNU's type S."""
    extents = _extents(block, _SPARSE_IN_HEADER, 4, name)
    return extents, _number(block[_REAL_SIZE], name), block[_EXTENDED_FLAG] != 0


def more_sparse(block: bytes, name: str) -> tuple[list[tuple[int, int]], bool]:
    """(extents, whether more follow) of the blocks after such a header."""
    return _extents(block, 0, _SPARSE_IN_BLOCK, name), block[_MORE_FLAG] != 0


def sparse_numbers(raw: bytes, name: str) -> Iterator[int]:
    """The decimal lines that a file with holes begins with, GNU's format 1.0."""
    for line in raw.split(b"\n")[:-1]:
        yield decimal(line, name)


def shown_raw(name: bytes) -> str:
    return shown(text_of(name))


def _extents(block: bytes, start: int, count: int, name: str) -> list[tuple[int, int]]:
    found = []
    for place in range(start, start + count * _PAIR, _PAIR):
        if not block[place]:
            break
        half = place + _PAIR // 2
        length = _number(block[half : place + _PAIR], name)
        found.append((_number(block[place:half], name), length))
    return found


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes, name: bytes | str) -> int:
    value = _signed(field, name)
    if value < 0:
        raise RootError("a header has a negative number", "", _place(name))
    return value


def _signed(field: bytes, name: bytes | str) -> int:
    if field[0] in (0x80, 0xFF):  # GNU's base 256: the mark, or the sign of a negative number
        return int.from_bytes(field[1:], "big", signed=field[0] == 0xFF)
    digits = field.partition(b"\0")[0].strip(b" ")
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        raise RootError(f"{field!r} in a header is no number", "", _place(name)) from None


def _place(name: bytes | str) -> str:
    return name if isinstance(name, str) else shown_raw(name)
