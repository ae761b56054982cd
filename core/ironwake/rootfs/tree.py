"""A root file system out of its layers: what stands at which name in the end, and where from.

Layers are those of OCI images (image-spec, layer.md): each adds names, replaces them, or takes away
names of those below by whiteouts. One archive is one layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ironwake.errors import BrokenError
from ironwake.rootfs.member import Kind, Member, RootError, shown
from ironwake.rootfs.rules import check_parents, folders, refusal

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_MOST_LINKS = 40  # as Linux follows them


@dataclass(slots=True, eq=False)
class Inode:
    """One file, however many names it has.

    :ivar layer: whose archive has its contents
    :ivar number: which member of that archive it is
    """

    member: Member
    layer: int
    number: int


@dataclass(slots=True)
class _Name:
    inode: Inode
    layer: int
    children: set[str] = field(default_factory=set)


def _root() -> _Name:
    return _Name(Inode(Member("", Kind.DIRECTORY, 0o755, 0, 0, 0), 0, -1), 0)


class Tree:
    """Names and what they stand for. Members must have been admitted by `Rules` of their layer."""

    def __init__(self) -> None:
        self._names = {"": _root()}

    def add(self, member: Member, layer: int, number: int, *, whiteouts: bool = False) -> None:
        """Put one member over what is there; RootError where it leads through a link.

        :param whiteouts: whether names that begin with `.wh.` take names away
        """
        check_parents(member, self._kind)
        self._make_folders(member, layer)
        folder, _, name = member.path.rpartition("/")
        if whiteouts and name.startswith(_WHITEOUT):
            self._white_out(member, folder, name, layer)
            return
        inode = Inode(member, layer, number)
        if member.kind is Kind.HARDLINK:
            inode = self._linked(member)
        before = self._names.get(member.path)
        if before and before.inode.member.kind is Kind.DIRECTORY:
            if member.kind is Kind.DIRECTORY:
                before.inode, before.layer = inode, layer
                return
            self._remove(member.path, layer)
            if member.path in self._names:
                raise refusal(member, "stands where a folder is that has members")
        self._put(member.path, inode, layer)

    def get(self, path: str) -> Inode | None:
        """What stands there."""
        name = self._names.get(path)
        return name.inode if name else None

    def resolve(self, path: str) -> Inode | None:
        """The same, with links followed as a program inside of the root would follow them."""
        done: list[str] = []
        todo = path.split("/")[::-1]
        links = 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                done = done[:-1]
                continue
            here = self.get("/".join([*done, part]))
            if here is None:
                return None
            if here.member.kind is Kind.SYMLINK:
                links += 1
                if links > _MOST_LINKS:
                    return None
                target = here.member.link
                done = [] if target.startswith("/") else done
                todo.extend(target.split("/")[::-1])
            else:
                done.append(part)
        return self.get("/".join(done))

    def children(self, path: str) -> list[str]:
        """The names in a folder, sorted."""
        name = self._names.get(path)
        return sorted(name.children) if name else []

    def members(self) -> Iterator[tuple[Member, Inode]]:
        """Everything, each name once, in the order of `writer`; contents are those of the inode.

        Files come by layer and number, so that each layer's archive is read once, in its order.
        """
        first: dict[Inode, str] = {}
        more: list[tuple[str, Inode]] = []
        for path in sorted(self._names):
            inode = self._names[path].inode
            if inode in first:
                more.append((path, inode))
            else:
                first[inode] = path
        for inode, path in sorted(first.items(), key=_order):
            yield inode.member._replace(path=path), inode
        for path, inode in more:
            linked = Member(path, Kind.HARDLINK, *inode.member[2:6], link=first[inode])
            yield linked, inode

    def _kind(self, path: str) -> Kind | None:
        inode = self.get(path)
        return inode.member.kind if inode else None

    def _make_folders(self, member: Member, layer: int) -> None:
        for folder in folders(member.path):
            if folder not in self._names:
                implied = Member(folder, Kind.DIRECTORY, 0o755, 0, 0, member.mtime)
                self._put(folder, Inode(implied, layer, -1), layer)

    def _put(self, path: str, inode: Inode, layer: int) -> None:
        self._names[path] = _Name(inode, layer)
        if path:
            folder, _, name = path.rpartition("/")
            self._names[folder].children.add(name)

    def _linked(self, member: Member) -> Inode:
        target = self.get(member.link)
        if target is None or target.member.kind is Kind.DIRECTORY:
            raise refusal(member, f"is a hard link to {shown(member.link)}, which is no file")
        return target

    def _white_out(self, member: Member, folder: str, name: str, layer: int) -> None:
        if name == _OPAQUE:
            for child in self.children(folder):
                self._remove(f"{folder}/{child}".lstrip("/"), layer)
            return
        gone = name.removeprefix(_WHITEOUT)
        if gone.startswith(_WHITEOUT):
            return  # of aufs itself
        if gone in ("", ".", ".."):
            raise RootError(f"the whiteout {shown(member.path)} names nothing")
        self._remove(f"{folder}/{gone}".lstrip("/"), layer)

    def _remove(self, path: str, layer: int) -> None:
        """Take away what layers below have put there; a folder stays while anything is in it."""
        name = self._names.get(path)
        if name is None:
            return
        for child in sorted(name.children):
            self._remove(f"{path}/{child}", layer)
        if name.children or name.layer >= layer:
            return
        del self._names[path]
        folder, _, own = path.rpartition("/")
        self._names[folder].children.discard(own)


_RANK = {Kind.DIRECTORY: 0, Kind.FILE: 1}


def _order(item: tuple[Inode, str]) -> tuple[int, int, int, str]:
    inode, path = item
    rank = _RANK.get(inode.member.kind, 2)
    if inode.member.kind is Kind.HARDLINK:  # `add` has resolved them all
        raise BrokenError(f"the hard link {shown(path)} was not resolved")
    return (rank, inode.layer, inode.number, path) if rank == 1 else (rank, 0, 0, path)
