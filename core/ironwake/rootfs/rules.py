"""What is taken from an archive of a root file system, judged name by name before it is unpacked.

Whoever unpacks follows no name through a link, so that nothing lands outside of the root: a name
below a symbolic link is refused, a name that stands twice is refused, `..` and absolute names are
refused. Where a symbolic link leads is its own business as long as nothing is written through it;
an absolute one is meant within the root, and most systems are full of them. One that climbs out by
`..` is a mistake or a trap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ironwake.rootfs.member import Kind, Member, RootError, octets_of, shown
from ironwake.sizes import size_text

_LONGEST_PART: Final = 255  # octets, of every Linux file system
_DEEPEST: Final = 200  # folders; nobody has as many, and work grows with them
# Machines' own files are written there, and the kernel's views are mounted.
_FOLDERS: Final = frozenset(("boot", "dev", "etc", "proc", "run", "sys", "usr", "var"))
_NOBODY: Final = 0xFFFFFFFF  # (uid_t) -1: chown(2) takes it for "leave as it is"
_LARGEST_FILE: Final = 16 << 40  # of ext4 with blocks of 4 KiB
_ENOUGH: Final = "the limits are settings: IRONWAKE_IMAGE_…"


@dataclass(frozen=True, slots=True)
class Limits:
    """Where an archive ends.

    :ivar size: bytes of contents, holes left out
    :ivar members: names
    :ivar path: octets of a name, and of what a symbolic link says
    :ivar header: bytes of what is said of one member, besides its block: long names, attributes
    :ivar extents: pieces of a file with holes
    :ivar ratio: plain bytes for each packed one, of what is longer than `free`
    :ivar free: plain bytes that may be packed however well
    """

    size: int = 64 << 30
    members: int = 4_000_000
    path: int = 4095
    header: int = 1 << 20
    extents: int = 100_000
    ratio: int = 200
    free: int = 256 << 20


class Rules:
    """One archive's members, in its order; `admit` raises RootError naming the one it refuses."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._kinds: dict[str, Kind] = {"": Kind.DIRECTORY}
        self._last = ""
        self.members = 0
        self.size = 0

    def admit(self, member: Member) -> None:
        """Take one more member."""
        self.members += 1
        self.size += member.stored
        limits = self._limits
        if self.members > limits.members:
            raise refusal(member, f"is one more than {limits.members} members", _ENOUGH)
        if self.size > limits.size:
            raise refusal(
                member, f"makes it more than the {size_text(limits.size)} that are allowed", _ENOUGH
            )
        check(member, limits)
        self._parents(member)
        kinds, path = self._kinds, member.path
        before = kinds.get(path)
        again = before is Kind.DIRECTORY and member.kind is Kind.DIRECTORY
        if before is not None and not again:
            raise refusal(member, f"stands twice: it is a {before} already")
        if member.kind is Kind.HARDLINK:
            check_hard_link(member, kinds.get)
        kinds[path] = member.kind

    def _parents(self, member: Member) -> None:
        parent = member.path.rpartition("/")[0]
        if parent == self._last:  # archives go through folders one by one
            return
        check_parents(member, self._kinds.get)
        for folder in folders(member.path):
            self._kinds.setdefault(folder, Kind.DIRECTORY)
        self._last = parent


def path_of(name: str, said: str = "") -> str:
    """A name of an archive as a path below the root; RootError for one that leads elsewhere.

    :param said: the member that says this name, if it is another
    """
    where = shown(said or name)
    if name.startswith("/"):
        raise RootError(f"the name {shown(name)} is absolute: it leads out of the root", "", where)
    if "\0" in name:
        raise RootError(f"the name {shown(name)} has a NUL", "", where)
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise RootError(f"the name {shown(name)} leads out by '..'", "", where)
    return "/".join(parts)


def check(member: Member, limits: Limits) -> None:
    """What can be said of a member alone."""
    path = octets_of(member.path)
    if len(path) > limits.path or any(len(part) > _LONGEST_PART for part in path.split(b"/")):
        raise refusal(member, f"has a name of {len(path)} octets, longer than may be")
    if path.count(b"/") > _DEEPEST:
        raise refusal(member, f"lies below more than {_DEEPEST} folders")
    if not member.path and member.kind is not Kind.DIRECTORY:
        raise refusal(member, f"is the root itself, but a {member.kind}")
    if member.path in _FOLDERS and member.kind is not Kind.DIRECTORY:
        raise refusal(member, f"is a {member.kind} where every system has a folder")
    if member.uid >= _NOBODY or member.gid >= _NOBODY:
        raise refusal(member, "has an owner that cannot be")
    if member.kind in (Kind.CHARACTER, Kind.BLOCK) and not member.path.startswith("dev/"):
        raise refusal(member, f"is a {member.kind} outside of /dev")
    if member.kind is Kind.SYMLINK:
        _check_symlink(member, limits)
    if member.size > _LARGEST_FILE:
        raise refusal(member, f"is a file of {member.size} bytes, holes counted")
    if member.extents is not None:
        _check_extents(member, limits)


def folders(path: str) -> list[str]:
    """The folders above a path, the outermost first, without the root."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def check_parents(member: Member, kind_of: Callable[[str], Kind | None]) -> None:
    """Refuse a name below anything but folders; where nothing stands yet, a folder is meant."""
    for folder in folders(member.path):
        kind = kind_of(folder)
        if kind not in (None, Kind.DIRECTORY):
            raise refusal(member, f"leads through {shown(folder)}, which is a {kind}")


def check_hard_link(member: Member, kind_of: Callable[[str], Kind | None]) -> None:
    """Refuse one to nothing, to a folder, or through a link."""
    target = kind_of(member.link)
    if target is None or target is Kind.DIRECTORY:
        what = "which is not there before it" if target is None else "a folder"
        raise refusal(member, f"is a hard link to {shown(member.link)}, {what}")


def refusal(member: Member, what: str, next_step: str = "") -> RootError:
    """An error that names the member."""
    return RootError(f"the member {shown(member.path or '.')} {what}", next_step)


def _check_symlink(member: Member, limits: Limits) -> None:
    target = member.link
    if not target or len(octets_of(target)) > limits.path or "\0" in target:
        raise refusal(member, "is a symbolic link that leads nowhere")
    if target.startswith("/"):
        return
    depth = member.path.count("/")
    for part in target.split("/"):
        if part == "..":
            depth -= 1
        elif part not in ("", "."):
            depth += 1
        if depth < 0:
            raise refusal(member, f"is a symbolic link out of the root: {shown(target)}")


def _check_extents(member: Member, limits: Limits) -> None:
    extents = member.extents or ()
    if len(extents) > limits.extents:
        raise refusal(member, f"has more than {limits.extents} pieces between holes", _ENOUGH)
    end = 0
    for offset, length in extents:
        if offset < end or length < 0 or offset + length > member.size:
            raise refusal(member, "has holes that cannot be: its pieces overlap or go too far")
        end = offset + length
    if sum(length for _, length in extents) != member.stored:
        raise refusal(member, "has holes that cannot be: its pieces are not what follows")
