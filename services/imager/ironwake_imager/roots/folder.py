"""A directory of this host as a layer: everything that a file system knows of its files.

No link is followed and no other file system is entered: where one is mounted, the folder is empty.
Sockets are left out, for they are their program's.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ironwake.errors import BrokenError, RefusedError
from ironwake.rootfs.acl import ACCESS, DEFAULT, acl_text
from ironwake.rootfs.member import NOTHING, Event, Kind, Member, shown
from ironwake.rootfs.rules import Limits, Rules
from ironwake_imager.roots.unpacking import CHUNK

_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
}
_NO_ATTRIBUTES = (errno.ENODATA, errno.EOPNOTSUPP, errno.ENOSYS)
_OF_OTHERS = ("trusted.overlay.", "security.selinux", "security.ima", "security.evm")


@dataclass(frozen=True, slots=True)
class FolderLayer:
    """One directory; BrokenError where it changes while it is read."""

    path: Path
    limits: Limits
    whiteouts: bool = False

    def read(self, *, contents: bool) -> Iterator[Event]:
        if os.geteuid() != 0:
            raise RefusedError(
                f"only root sees all of {self.path}: owners, attributes, devices", "run it as root"
            )
        rules = Rules(self.limits)
        root = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            walk = _Walk(os.fstat(root).st_dev, {})
            for member, opened in walk.folder(root, ""):
                rules.admit(member)
                yield member
                if contents and member.stored:
                    yield from _contents(member, opened)
        finally:
            os.close(root)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a file is: a name in an open folder."""

    folder: int
    name: str


@dataclass(slots=True)
class _Walk:
    device: int
    seen: dict[tuple[int, int], str]

    def folder(self, folder: int, path: str) -> Iterator[tuple[Member, _Place]]:
        """A folder's own member, and those of all that is in it, by name."""
        own = self._member(os.fstat(folder), path, f"/proc/self/fd/{folder}", "")
        yield own, _Place(folder, "")
        for name in sorted(os.listdir(folder)):
            place = _Place(folder, name)
            inner = f"{path}/{name}".lstrip("/")
            try:
                facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISSOCK(facts.st_mode):
                    continue
                if stat.S_ISDIR(facts.st_mode):
                    yield from self._below(place, inner)
                    continue
                link = ""
                if stat.S_ISLNK(facts.st_mode):
                    link = os.readlink(name, dir_fd=folder)
                yield self._member(facts, inner, f"/proc/self/fd/{folder}/{name}", link), place
            except FileNotFoundError:
                raise _changed(inner) from None

    def _below(self, place: _Place, inner: str) -> Iterator[tuple[Member, _Place]]:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        folder = os.open(place.name, flags, dir_fd=place.folder)
        try:
            if os.fstat(folder).st_dev == self.device:
                yield from self.folder(folder, inner)
            else:  # what stands there when nothing is mounted, nobody sees
                yield Member(inner, Kind.DIRECTORY, 0o755, 0, 0, 0), place
        finally:
            os.close(folder)

    def _member(self, facts: os.stat_result, path: str, here: str, link: str) -> Member:
        kind = _KINDS[stat.S_IFMT(facts.st_mode)]
        member = Member(
            path,
            kind,
            stat.S_IMODE(facts.st_mode),
            facts.st_uid,
            facts.st_gid,
            int(facts.st_mtime),
            link=link,
        )
        if kind is not Kind.DIRECTORY and facts.st_nlink > 1:
            first = self.seen.setdefault((facts.st_dev, facts.st_ino), path)
            if first != path:
                return member._replace(kind=Kind.HARDLINK, link=first)
        if kind in (Kind.CHARACTER, Kind.BLOCK):
            device = os.major(facts.st_rdev), os.minor(facts.st_rdev)
            member = member._replace(device=device)
        if kind is Kind.FILE:
            member = _sized(member, facts, here)
        return member._replace(extended=_extended(here, follow=kind is Kind.DIRECTORY))


def _sized(member: Member, facts: os.stat_result, here: str) -> Member:
    size = facts.st_size
    if facts.st_blocks * 512 >= size:
        return member._replace(stored=size, size=size)
    file = os.open(here, os.O_RDONLY | os.O_NOFOLLOW | os.O_NOATIME)
    try:
        extents = tuple(_extents(file, size))
    finally:
        os.close(file)
    stored = sum(length for _, length in extents)
    if stored == size:  # packed or inlined by its file system: no holes
        return member._replace(stored=size, size=size)
    return member._replace(stored=stored, size=size, extents=extents)


def _extents(file: int, size: int) -> Iterator[tuple[int, int]]:
    place = 0
    while place < size:
        try:
            start = os.lseek(file, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return  # a hole up to the end
        place = min(os.lseek(file, start, os.SEEK_HOLE), size)
        if place > start:
            yield start, place - start


def _extended(here: str, *, follow: bool) -> dict[str, bytes]:
    try:
        names = os.listxattr(here, follow_symlinks=follow)
    except OSError as error:
        if error.errno in _NO_ATTRIBUTES:
            return dict(NOTHING)
        raise
    found = {}
    for name in names:
        if name.startswith(_OF_OTHERS):
            continue
        value = os.getxattr(here, name, follow_symlinks=follow)
        if name in (ACCESS, DEFAULT):
            key = "SCHILY.acl.access" if name == ACCESS else "SCHILY.acl.default"
            found[key] = acl_text(value).encode()
        else:
            found[f"SCHILY.xattr.{name}"] = value
    return found


def _contents(member: Member, place: _Place) -> Iterator[memoryview]:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    file = os.open(place.name, flags, dir_fd=place.folder)
    try:
        for offset, length in member.extents or ((0, member.size),):
            os.lseek(file, offset, os.SEEK_SET)
            while length:
                piece = os.read(file, min(CHUNK, length))
                if not piece:
                    raise _changed(member.path)
                length -= len(piece)
                yield memoryview(piece)
    finally:
        os.close(file)


def _changed(path: str) -> BrokenError:
    return BrokenError(
        f"{shown(path)} was changed while it was read",
        "import a directory that nobody uses",
    )
