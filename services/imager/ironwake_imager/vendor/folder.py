"""A folder as a medium: what is on a USB stick, or an ISO that somebody has unpacked.

Its files go into one artifact, one behind the other, with the same table that an ISO image has.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from ironwake.errors import BrokenError, InputError
from ironwake.iso.contents import text_of
from ironwake.iso.image import Limits, Place, Tree

_CHUNK = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


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
        with self._open(self._names[place.offset, place.size]) as stream:

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
            with self._open(path) as stream:
                while left and (piece := stream.read(min(_CHUNK, left))):
                    left -= len(piece)
                    yield piece
                if left or stream.read(1):
                    raise self._changed(path)

    def _open(self, path: str) -> BinaryIO:
        """A plain file of it; BrokenError where that is none any longer."""
        descriptor = self._descend(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait
        stream = os.fdopen(descriptor, "rb")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            stream.close()
            raise self._changed(path)
        return stream

    def _descend(self, path: str, flags: int) -> int:
        """A descriptor of what is there, by no link: whoever has the folder could set one just now.

        The folder itself may stand behind one: a person has named it.
        """
        *folders, name = path.split("/")
        at = os.open(self.path, _FOLDER)
        try:
            for one in folders:
                above, at = at, os.open(one, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
                os.close(above)
            return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENOENT):
                raise self._changed(path) from None
            raise
        finally:
            os.close(at)

    def _changed(self, path: str) -> BrokenError:
        return BrokenError(f"{self.path / path} was changed meanwhile", "run it again")

    @cached_property
    def _names(self) -> dict[tuple[int, int], str]:
        return {(one.offset, one.size): path for path, one in self.tree.files.items()}

    def _files(self) -> Iterator[tuple[str, int]]:
        count, todo = 0, [""]
        while todo:
            folder = todo.pop()
            for name, about in self._listed(folder or "."):
                count += 1
                path = f"{folder}/{name}" if folder else name
                if count > self.limits.entries or path.count("/") > self.limits.depth:
                    raise InputError(f"{self.path} has more in it than any medium")
                if stat.S_ISDIR(about.st_mode):
                    todo.append(path)
                elif stat.S_ISREG(about.st_mode):
                    yield path, about.st_size

    def _listed(self, folder: str) -> list[tuple[str, os.stat_result]]:
        at = self._descend(folder, _FOLDER)
        try:
            with os.scandir(at) as entries:
                some = itertools.islice(entries, self.limits.entries + 1)
                return sorted((one.name, one.stat(follow_symlinks=False)) for one in some)
        finally:
            os.close(at)
