"""What a machine sends of itself, to become an image: parts, and at the end what they are.

A part is one file, sent piece by piece, each with its place (RFC 9110 §14.5, Content-Range of a
request); the appliance says how much it has. A disk has the parts `pack` and `index`
(`ironwake.pack`), a root file system has `archive`, a tar packed by zstd. `done` is no part: it is
a `Captured` as JSON, and after it nothing more is taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from ironwake.errors import InputError
from ironwake.image import ImageKind, Reference
from ironwake.pack import BLOCK
from ironwake.profile import Capture

PARTS: Final = {ImageKind.DISK: ("pack", "index"), ImageKind.ROOT: ("archive",)}
DONE: Final = "done"
HELD: Final = "Upload-Offset"  # in each reply: how many bytes of the part are there
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_RANGE = re.compile(r"bytes ([0-9]{1,16})-([0-9]{1,16})/\*", re.ASCII)
_SLACK: Final = 1 << 20


def kind_of(asked: Capture) -> ImageKind:
    """What is made of it."""
    return ImageKind.ROOT if asked.root else ImageKind.DISK


def most(part: str, largest: int) -> int:
    """The most bytes that a part may have, of a disk or root of `largest` bytes."""
    if part == "index":  # 36 octets for each block, and 12 for a run, were it of each
        return largest // BLOCK * 48 + _SLACK
    return largest + largest // 64 + _SLACK  # what zstd and tar add, where nothing can be packed


def content_range(start: int, count: int) -> str:
    """The header's value, for `count` bytes from `start` on; the whole is not known yet."""
    return f"bytes {start}-{start + count - 1}/*"


def read_range(text: str) -> tuple[int, int]:
    """(start, count) of such a value; InputError for any other."""
    found = _RANGE.fullmatch(text)
    start, last = (int(found[1]), int(found[2])) if found else (0, -1)
    if last < start:
        raise InputError(f"{text!r:.60} is no range", "write bytes FIRST-LAST/*", "Content-Range")
    return start, last - start + 1


@dataclass(frozen=True)
class Part:
    """`size` in bytes; `sha256` hexadecimal."""

    size: int
    sha256: str

    def __post_init__(self) -> None:
        if self.size < 0 or not _SHA256.fullmatch(self.sha256):
            raise InputError("this is no size and SHA-256 of a part", "", "parts")


@dataclass(frozen=True)
class Captured:
    """The machine's last word. `content_sha256`: of a disk's whole plain content, "" for a root."""

    parts: dict[str, Part] = field(default_factory=dict)
    content_sha256: str = ""


@dataclass(frozen=True)
class About:
    """Whose it is, as the appliance itself knows: nothing of this comes from the machine."""

    deployment: str
    machine: str
    image: str
    kind: ImageKind

    def __post_init__(self) -> None:
        Reference(self.image)
