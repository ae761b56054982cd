"""A folder as a medium: what is on a USB stick, or an ISO that somebody has unpacked.

Its files go into one artifact, one behind the other, with the same table that an ISO image has.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ironwake.errors import BrokenError, InputError
from ironwake.iso.contents import text_of
from ironwake.iso.image import Limits, Place, Tree

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Folder:
    """`ironwake.medium.Contents` of a folder; symbolic links are left out: they may lead away."""

    path: Path
    limits: Limits = field(default_factory=Limits)

    @property
    def label(self) -> str:
        return ""

    def has(self, path: str) -> bool:
        return self.tree.find(path) is not None

    def text(self, path: str) -> str:
        place = self.tree.find(path)
        if place is None:
            return ""
        with (self.path / self._names[place.offset, place.size]).open("rb") as stream:

            def read(offset: int, size: int) -> bytes:
                stream.seek(offset)
                return stream.read(size)

            return text_of(path, place.size, read)

    @cached_property
    def tree(self) -> Tree:
        """Where each file will be in the artifact."""
        files, at = {}, 0
        for path, size in self._files():
            files[path] = Place(at, size)
            at += size
        return Tree(files, fold=True)

    def chunks(self) -> Iterator[bytes]:
        """All bytes of the artifact; BrokenError where a file is another one than before."""
        for path, place in self.tree.files.items():
            left = place.size
            with (self.path / path).open("rb") as stream:
                while left and (piece := stream.read(min(_CHUNK, left))):
                    left -= len(piece)
                    yield piece
                if left or stream.read(1):
                    raise BrokenError(f"{self.path / path} was changed meanwhile", "run it again")

    @cached_property
    def _names(self) -> dict[tuple[int, int], str]:
        return {(one.offset, one.size): path for path, one in self.tree.files.items()}

    def _files(self) -> Iterator[tuple[str, int]]:
        count, todo = 0, [""]
        while todo:
            folder = todo.pop()
            with os.scandir(self.path / folder) as entries:
                found = sorted(entries, key=lambda one: one.name)
            for entry in found:
                count += 1
                path = f"{folder}/{entry.name}" if folder else entry.name
                if count > self.limits.entries or path.count("/") > self.limits.depth:
                    raise InputError(f"{self.path} has more in it than any medium")
                about = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(about.st_mode):
                    todo.append(path)
                elif stat.S_ISREG(about.st_mode):
                    yield path, about.st_size
