"""One name of a root file system, and what a tar says of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from ironwake.errors import RefusedError


class RootError(RefusedError):
    """A root file system that is not taken: broken, hostile, or larger than what is allowed."""


class Kind(StrEnum):
    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symbolic link"
    HARDLINK = "hard link"
    CHARACTER = "character device"
    BLOCK = "block device"
    FIFO = "pipe"


NOTHING: Mapping[str, bytes] = MappingProxyType({})


class Member(NamedTuple):
    """What a header says; the contents follow it.

    :ivar path: without "/" at either end and without "." or ".."; "" is the root itself. Octets
        that are no UTF-8 stand as surrogates
    :ivar stored: bytes of contents in the archive
    :ivar size: bytes of the file; more than `stored` only where it has holes
    :ivar link: where a symbolic link leads, as it says; the path that a hard link shares
    :ivar device: major and minor number
    :ivar extended: attributes by their pax keys: `SCHILY.xattr.…`, `SCHILY.acl.…`
    :ivar extents: (offset, length) of what is no hole, ascending; None for a file without holes
    """

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime: int
    stored: int = 0
    size: int = 0
    link: str = ""
    device: tuple[int, int] = (0, 0)
    extended: Mapping[str, bytes] = NOTHING
    extents: tuple[tuple[int, int], ...] | None = None


Event = Member | memoryview
"""A member, or the next piece of the last one's contents."""


def shown(name: str) -> str:
    """A member's name as a message may have it, whatever is in it."""
    text = name.encode("utf-8", "backslashreplace").decode()
    return repr(text if len(text) <= 120 else f"{text[:80]}…{text[-30:]}")


def text_of(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def octets_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
