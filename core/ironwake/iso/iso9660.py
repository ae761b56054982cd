"""ISO 9660 (ECMA-119), with the names of Rock Ridge (IEEE P1282) or Joliet where they are there.

Plain names are made as Linux does it: small letters, without the version.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ironwake.iso import rockridge
from ironwake.iso.image import SECTOR, Gathering, Image, IsoError, Tree
from ironwake.iso.rockridge import Kind

_FIRST = 16  # sectors: what is before belongs to boot loaders
_MOST = 64  # descriptors
_JOLIET = (b"%/@", b"%/C", b"%/E")  # escape sequences of the three levels of UCS-2
_DIRECTORY, _ASSOCIATED, _MORE = 2, 4, 128  # a record's flags, ECMA-119 9.1.6
_FIXED = 33  # bytes of a record before its name


@dataclass(frozen=True, slots=True)
class Record:
    """A directory record; `offset` of its bytes in the image, `use`: its system use area."""

    name: bytes
    flags: int
    offset: int
    size: int
    use: bytes

    @property
    def is_directory(self) -> bool:
        return bool(self.flags & _DIRECTORY)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A volume descriptor: its label, blocks of so many bytes, and the root's record."""

    label: str
    block: int
    size: int
    root: Record


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Those of an image that are of use."""

    primary: Descriptor
    joliet: Descriptor | None


def descriptors(image: Image) -> Descriptors:
    """IsoError where this is no ISO 9660, or one whose end is missing."""
    primary = joliet = None
    for number in range(_FIRST, _FIRST + _MOST):
        raw = image.at(number * SECTOR, SECTOR)
        if raw[1:6] != b"CD001" or raw[0] == 255:
            break
        if raw[0] == 1 and primary is None:
            primary = _descriptor(raw, "ascii")
        elif raw[0] == 2 and raw[88:91] in _JOLIET:
            joliet = _descriptor(raw, "utf-16-be")
    if primary is None:
        raise IsoError("this is no ISO image", "name a file that ends in .iso")
    if primary.size > image.size:
        raise IsoError(
            f"this ISO says that it has {primary.size} bytes, and has {image.size}",
            "it is truncated: get it again",
        )
    return Descriptors(primary, joliet)


def _descriptor(raw: bytes, coding: str) -> Descriptor:
    (blocks,) = struct.unpack_from("<I", raw, 80)
    (block,) = struct.unpack_from("<H", raw, 128)
    if block not in (512, 1024, 2048):
        raise IsoError(f"this ISO has blocks of {block} bytes")
    label = raw[40:72].decode(coding, "replace").rstrip(" \0")
    root = _record(raw[156:190], block)
    if root is None or not root.is_directory:
        raise IsoError("this ISO has no folder to begin with")
    return Descriptor(label, block, blocks * block, root)


def _record(raw: bytes, block: int) -> Record | None:
    """None where the bytes are no record."""
    if len(raw) < _FIXED or raw[0] > len(raw) or _FIXED + raw[32] > raw[0]:
        return None
    extended, extent, size = raw[1], *struct.unpack_from("<I4xI", raw, 2)
    if raw[26] or raw[27]:
        raise IsoError("this ISO has interleaved files, which cannot be read in place")
    end = _FIXED + raw[32]
    # A name of even length is followed by a byte of nothing (9.1.12).
    return Record(
        name=raw[_FIXED:end],
        flags=raw[25],
        offset=(extent + extended) * block,
        size=size,
        use=raw[end + (1 - raw[32] % 2) : raw[0]],
    )


def walk_rock_ridge(image: Image, primary: Descriptor) -> Tree | None:
    """The tree with Rock Ridge's names; None where this image has none."""
    first = next(_records(image, primary.root, primary.block), None)
    skip = rockridge.begins(first.use) if first else None
    if skip is None:
        return None
    into = Gathering(image)
    todo = [("", primary.root)]
    while todo:
        folder, place = todo.pop()
        into.enter(place.offset, folder)
        for record in _files(image, place, primary.block):
            said = rockridge.read(record.use[skip:], image, primary.block)
            if said.is_moved:  # its place is told by a link, where it belongs
                continue
            path = into.path(folder, _text(said.name) if said.name else _plain(record.name))
            if said.child is not None:
                there = next(_records(image, _at(said.child * primary.block), primary.block), None)
                if there is None or not there.is_directory:
                    raise IsoError(f"folder {path!r:.120} of this ISO is not where it should be")
                record = there
            if said.kind is Kind.LINK:
                into.add(path, _text(said.target))
            elif record.is_directory:
                into.add(path, None)
                todo.append((path, record))
            elif said.kind is Kind.FILE:
                if said.is_packed:
                    raise IsoError(f"{path:.120} is packed (zisofs), and cannot be read in place")
                into.add(path, image.place(record.offset, record.size, path))
    return into.tree(fold=False)


def walk(image: Image, descriptor: Descriptor, *, joliet: bool) -> Tree:
    """The tree with Joliet's names, or plain ones."""
    into = Gathering(image)
    todo = [("", descriptor.root)]
    while todo:
        folder, place = todo.pop()
        into.enter(place.offset, folder)
        for record in _files(image, place, descriptor.block):
            name = _ucs(record.name) if joliet else _plain(record.name)
            path = into.path(folder, name)
            if record.is_directory:
                into.add(path, None)
                todo.append((path, record))
            else:
                into.add(path, image.place(record.offset, record.size, path))
    return into.tree(fold=True)


def _files(image: Image, directory: Record, block: int) -> Iterator[Record]:
    """What a directory has besides itself and its parent; what comes in parts is one."""
    begun: Record | None = None
    for record in _records(image, directory, block):
        if record.name in (b"\0", b"\1") or record.flags & _ASSOCIATED:
            continue
        if begun is not None:
            if record.name != begun.name or record.offset != begun.offset + begun.size:
                raise IsoError(
                    f"{begun.name!r:.80} of this ISO stands in several places",
                    "it cannot be served from inside: make the ISO again with xorriso",
                )
            record = Record(
                begun.name, record.flags, begun.offset, begun.size + record.size, begun.use
            )
        if record.flags & _MORE:
            begun = record
            continue
        begun = None
        yield record
    if begun is not None:
        raise IsoError(f"the rest of {begun.name!r:.80} is missing in this ISO")


def _records(image: Image, directory: Record, block: int) -> Iterator[Record]:
    if directory.size > image.limits.directory:
        raise IsoError(f"this ISO has a folder of {directory.size} bytes")
    if not directory.size:  # only where it is told by a link: as long as it says itself
        directory = _sized(image, directory, block)
    data = image.at(directory.offset, directory.size)
    at = 0
    while at < len(data):
        length = data[at]
        if not length:  # no record crosses a sector's end (6.8.1.1)
            at += SECTOR - at % SECTOR
            continue
        record = _record(data[at : at + length], block)
        if record is None:
            raise IsoError(f"this ISO has a damaged folder at byte {directory.offset + at}")
        yield record
        at += length


def _sized(image: Image, directory: Record, block: int) -> Record:
    """The same, as its own first record has it, whose name is one byte."""
    raw = image.at(directory.offset, _FIXED + 1)
    found = _record(bytes((_FIXED + 1,)) + raw[1:], block)
    if found is None or not 0 < found.size <= image.limits.directory:
        raise IsoError(f"this ISO has a damaged folder at byte {directory.offset}")
    return found


def _at(offset: int) -> Record:
    return Record(b"\0", _DIRECTORY, offset, 0, b"")


def _plain(name: bytes) -> str:
    text = _text(name).partition(";")[0].lower()
    return text[:-1] if text.endswith(".") else text


def _ucs(name: bytes) -> str:
    return name.decode("utf-16-be", "replace").partition(";")[0]


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")
