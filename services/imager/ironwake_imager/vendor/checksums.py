"""Lists of checksums, in the forms that vendors give them. Pure.

    9f86d081…  file.iso                     GNU coreutils; also with * before the name
    SHA256 (file.iso) = 9f86d081…           BSD
    sha256:9f86d081… and lists with comments, or within a signed text, read the same

Only SHA-256 and SHA-512 count; a list that has both for a file is taken by the longer one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ironwake.errors import InputError

_ALGORITHMS = {64: "sha256", 128: "sha512"}  # by hex digits
_DIGEST = r"([0-9a-fA-F]{64}|[0-9a-fA-F]{128})"
_GNU = re.compile(rf"\\?{_DIGEST} [ *](?:\./)?(\S.*)")
_BSD = re.compile(rf"SHA(?:256|512) \((?:\./)?(.+)\) = {_DIGEST}")
_ALONE = re.compile(_DIGEST)
_LINES = 20_000


@dataclass(frozen=True)
class Checksum:
    """`digest` in small hexadecimal digits; its length says which algorithm's."""

    digest: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", self.digest.strip().lower())
        if not _ALONE.fullmatch(self.digest):
            raise InputError(
                f"{self.digest!r:.60} is no checksum", "give the 64 digits of a SHA-256", "sha256"
            )

    @property
    def algorithm(self) -> str:
        return _ALGORITHMS[len(self.digest)]

    def hasher(self) -> Any:
        """Of hashlib, to be fed with the bytes."""
        return hashlib.new(self.algorithm)


def parse(text: str) -> dict[str, Checksum]:
    """File's name → checksum. One that stands alone has the name ""."""
    found: dict[str, Checksum] = {}
    for line in text.splitlines()[:_LINES]:
        line = line.strip()
        if match := _GNU.fullmatch(line):
            digest, name = match[1], match[2]
        elif match := _BSD.fullmatch(line):
            name, digest = match[1], match[2]
        elif _ALONE.fullmatch(line):
            name, digest = "", line
        else:
            continue
        name = name.strip()
        before = found.get(name)
        if before is None or len(digest) > len(before.digest):
            found[name] = Checksum(digest)
        elif len(digest) == len(before.digest) and digest.lower() != before.digest:
            raise InputError(f"the list of checksums has {name!r:.80} twice", "", "checksums")
    return found


def pick(entries: dict[str, Checksum], pattern: str, *, alone: bool) -> tuple[str, Checksum]:
    """The newest file whose name fits, by the numbers in its name, and its checksum.

    :param alone: the list is about one file only, whatever that is called there
    :raises InputError: there is none
    """
    fitting = [name for name in entries if fnmatchcase(name, pattern)]
    if fitting:
        name = max(fitting, key=_age)
        return name, entries[name]
    if alone and len(entries) == 1 and "*" not in pattern:
        (checksum,) = entries.values()
        return pattern, checksum
    there = ", ".join(sorted(entries)[:5]) or "nothing"
    raise InputError(
        f"the list of checksums has no {pattern}; it has: {there:.300}",
        "correct the row in the catalogue, or give --sha256",
        "checksums",
    )


def _age(name: str) -> list[tuple[int, str]]:
    """Numbers as numbers: 24.04.10 comes after 24.04.9."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
