"""A tar as members and their contents: bytes in, whatever the pieces, events out.

Read are POSIX (ustar, pax) and GNU archives, with long names, extended attributes and holes (GNU's
type S and format 1.0). Volumes, incremental dumps and older formats of holes are refused, and so is
an archive that ends without its block of zeroes: half of one looks like that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from ironwake.rootfs import header
from ironwake.rootfs.header import BLOCK, Header
from ironwake.rootfs.member import NOTHING, Event, Kind, Member, RootError, shown, text_of
from ironwake.rootfs.rules import Limits, path_of

_KINDS: Final = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"S": Kind.FILE,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER,
    b"4": Kind.BLOCK,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
}
_KEPT: Final = ("SCHILY.xattr.", "SCHILY.acl.")
_OF_OTHERS: Final = ("SCHILY.xattr.trusted.overlay.", "SCHILY.xattr.security.selinux")
_SPARSE: Final = "GNU.sparse."
_DAMAGED: Final = "make the archive anew, or fetch it again"

_Step = Callable[[bytes], Member | None]


class Reader:
    """One archive; raises RootError for what is damaged, ambiguous or too large."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = b""
        self._need = BLOCK
        self._step: _Step = self._header
        self._contents = 0
        self._padding = 0
        self._records: dict[str, bytes] = {}
        self._long: dict[bytes, bytes] = {}
        self._ended = False

    def feed(self, data: bytes | memoryview) -> Iterator[Event]:
        """Take the next bytes; what is whole now comes out. Of `data` nothing is kept."""
        view = memoryview(self._held + data if self._held else data)
        place, length = 0, len(view)
        while True:
            if self._contents:
                taken = min(self._contents, length - place)
                if not taken:
                    break
                self._contents -= taken
                yield view[place : place + taken]
            elif self._padding:
                taken = min(self._padding, length - place)
                if not taken:
                    break
                self._padding -= taken
            else:
                taken = self._need
                if length - place < taken:
                    break
                member = self._step(bytes(view[place : place + taken]))
                if member is not None:
                    yield member
            place += taken
        self._held = bytes(view[place:])

    def close(self) -> None:
        """Say that nothing more comes."""
        if not self._ended or self._held.strip(b"\0"):
            raise RootError("the archive is cut off: it has no end", _DAMAGED)

    def _header(self, block: bytes) -> Member | None:
        found = header.parse(block)
        if self._ended:
            if found is not None:
                raise RootError("something stands behind the end of the archive", _DAMAGED)
            return None
        if found is None:
            if self._records or self._long:
                raise RootError("the archive is cut off: a header's member is missing", _DAMAGED)
            self._ended = True
            return None
        if found.kind in b"LKxg":
            self._long_header(found)
            return None
        return self._member(found, block)

    def _long_header(self, found: Header) -> None:
        if found.size > self._limits.header:
            raise RootError(
                f"a header of {found.size} bytes is longer than the {self._limits.header} allowed",
                "",
                header.shown_raw(found.name),
            )

        def take(raw: bytes) -> None:
            self._await(BLOCK, self._header)
            self._keep(found, raw[: found.size])

        self._await(-(-found.size // BLOCK) * BLOCK, take)
        if not found.size:
            take(b"")

    def _keep(self, found: Header, raw: bytes) -> None:
        name = header.shown_raw(found.name)
        if found.kind in b"LK":
            if found.kind in self._long:
                raise RootError("a member has two long names", "", name)
            self._long[found.kind] = raw.partition(b"\0")[0]
            return
        records = header.records(raw, name)
        if found.kind == b"g":
            if records.keys() - {"comment"}:
                raise RootError("records for all members are not taken", "", name)
        elif self._records:
            raise RootError("a member has two extended headers", "", name)
        else:
            self._records = records

    def _member(self, found: Header, block: bytes) -> Member | None:
        records, self._records = self._records, {}
        long, self._long = self._long, {}
        name = _one("path", long.get(b"L"), records) or found.name
        link = _one("linkpath", long.get(b"K"), records) or found.link
        said = text_of(records.get(f"{_SPARSE}name", name))
        kind = _KINDS.get(found.kind)
        if kind is None:
            raise RootError(f"members of type {found.kind!r} are not taken", "", shown(said))
        if kind is Kind.FILE and said.endswith("/"):
            kind = Kind.DIRECTORY  # as archives before POSIX have it
        stored = _decimal(records, "size", found.size, said)
        if stored and kind is not Kind.FILE:
            raise RootError(f"a {kind} has contents", "", shown(said))
        target = text_of(link)
        member = Member(
            path_of(said),
            kind,
            found.mode,
            _decimal(records, "uid", found.uid, said),
            _decimal(records, "gid", found.gid, said),
            _decimal(records, "mtime", found.mtime, said),
            stored,
            stored,
            path_of(target, said) if kind is Kind.HARDLINK else target,
            found.device,
            _extended(records) if records else NOTHING,
        )
        self._padding = -stored % BLOCK
        if found.kind == b"S":
            return self._old_sparse(member, block)
        if any(key.startswith(_SPARSE) for key in records):
            self._sparse(member, records)
            return None
        self._contents = stored
        return member

    def _old_sparse(self, member: Member, block: bytes) -> Member | None:
        name = shown(member.path)
        extents, size, more = header.old_sparse(block, name)
        padding, self._padding = self._padding, 0

        def take(raw: bytes) -> Member | None:
            pieces, more = header.more_sparse(raw, name)
            extents.extend(pieces)
            if len(extents) > self._limits.extents:
                raise RootError("a file has too many pieces between holes", "", name)
            return None if more else done()

        def done() -> Member:
            self._await(BLOCK, self._header)
            self._contents, self._padding = member.stored, padding
            return member._replace(size=size, extents=tuple(extents))

        if not more:
            return done()
        self._await(BLOCK, take)
        return None

    def _sparse(self, member: Member, records: dict[str, bytes]) -> None:
        name = shown(member.path)
        version = records.get(f"{_SPARSE}major"), records.get(f"{_SPARSE}minor")
        if version != (b"1", b"0") or f"{_SPARSE}name" not in records:
            raise RootError("a file's holes are said in an old way", "pack it by GNU tar", name)
        size = _decimal(records, f"{_SPARSE}realsize", -1, member.path)
        padding, self._padding = self._padding, 0
        read = bytearray()
        wanted = lines = 0

        def take(raw: bytes) -> Member | None:
            nonlocal wanted, lines
            read.extend(raw)
            lines += raw.count(b"\n")
            if lines and not wanted:
                wanted = 1 + 2 * header.decimal(bytes(read.partition(b"\n")[0]), name)
            most = 1 + 2 * self._limits.extents
            if len(read) > member.stored or not 0 <= wanted <= most:
                raise RootError("a file has too many pieces between holes, or none", "", name)
            if lines < max(1, wanted):
                return None
            self._await(BLOCK, self._header)
            self._contents, self._padding = member.stored - len(read), padding
            numbers = list(header.sparse_numbers(bytes(read), name))[1:wanted]
            extents = tuple(zip(numbers[::2], numbers[1::2], strict=True))
            return member._replace(stored=self._contents, size=size, extents=extents)

        self._await(BLOCK, take)

    def _await(self, need: int, step: _Step) -> None:
        self._need, self._step = need, step


def _one(key: str, long: bytes | None, records: dict[str, bytes]) -> bytes | None:
    record = records.get(key)
    if long is not None and record is not None:
        raise RootError(f"a member's {key} is said twice", "", header.shown_raw(long))
    return long if record is None else record


def _decimal(records: dict[str, bytes], key: str, otherwise: int, name: str) -> int:
    value = header.decimal(records[key], shown(name)) if key in records else otherwise
    if value < 0 and key != "mtime":
        raise RootError(f"its {key} is {value}", "", shown(name))
    return value


def _extended(records: dict[str, bytes]) -> dict[str, bytes]:
    return {
        key: value
        for key, value in records.items()
        if key.startswith(_KEPT) and not key.startswith(_OF_OTHERS)
    }
