"""UDF (ECMA-167, OSTA UDF 1.02 to 2.01), as far as images of media use it: Windows' are no other.

One partition that lies as it is (a type 1 map): no virtual, sparable or metadata partitions, which
are for discs that are written bit by bit.
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from collections.abc import Iterator
from dataclasses import dataclass

from ironwake.iso.image import SECTOR, Gathering, Image, IsoError, Place, Tree

_ANCHOR = 256  # the sector where reading begins (ECMA-167 3/8.4.2.1)
_RECOGNITION = 16  # the first sector where a volume says what it is (2/8.3.1)
_STRUCTURES = 64
_DESCRIPTORS = 64
_EXTENTS = 100_000  # of one file: a terabyte in the largest there can be
_ANCHORS, _PARTITION, _LOGICAL, _END = 2, 5, 6, 8  # tags of 3/7.2.1
_SET, _NAME, _FILE, _EXTENDED, _MORE = 256, 257, 261, 266, 258  # and of 4/7.2.1
_IS_FOLDER, _IS_DELETED, _IS_PARENT = 2, 4, 8  # 4/14.4.3
_FOLDER, _PLAIN = 4, 5  # 4/14.6.6
_SHORT, _LONG, _EMBEDDED = 0, 1, 3  # 4/14.6.8


@dataclass(frozen=True, slots=True)
class Space:
    """A logical volume's one partition: `start` in bytes, `size` in bytes, of so large blocks."""

    label: str
    start: int
    size: int
    block: int
    root: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A file entry: its kind, and where its bytes are."""

    kind: int
    size: int
    extents: tuple[Place, ...]


def is_there(image: Image) -> bool:
    """Whether the volume says that it has UDF."""
    for number in range(_RECOGNITION, _RECOGNITION + _STRUCTURES):
        if (number + 1) * SECTOR > image.size:
            return False
        mark = image.at(number * SECTOR, 6)[1:]
        if mark in (b"NSR02", b"NSR03"):
            return True
        if mark not in (b"CD001", b"BEA01", b"BOOT2", b"CDW02"):
            return False
    return False


def space(image: Image) -> Space:
    """IsoError where the volume has another form."""
    anchor = _tagged(image, _ANCHOR * SECTOR, SECTOR, _ANCHORS)
    size, first = struct.unpack_from("<II", anchor, 16)
    partitions: dict[int, tuple[int, int]] = {}
    logical = b""
    for number in range(min(size // SECTOR, _DESCRIPTORS)):
        raw = image.at((first + number) * SECTOR, SECTOR)
        (tag,) = struct.unpack_from("<H", raw)
        if tag == _END:
            break
        if tag in (_PARTITION, _LOGICAL):
            _check(raw, tag)
        if tag == _PARTITION:
            (which,) = struct.unpack_from("<H", raw, 22)
            partitions[which] = struct.unpack_from("<II", raw, 188)
        elif tag == _LOGICAL:
            logical = raw
    return _space(image, logical, partitions)


def _space(image: Image, logical: bytes, partitions: dict[int, tuple[int, int]]) -> Space:
    if not logical:
        raise IsoError("this UDF volume has no logical volume")
    (block,) = struct.unpack_from("<I", logical, 212)
    maps = logical[440:]
    # A map of type 1 has 6 bytes: type, length, volume, partition.
    (count,) = struct.unpack_from("<I", logical, 268)
    if block != SECTOR or count != 1 or maps[:2] != b"\x01\x06":
        raise IsoError("this UDF volume has another form than images of media have")
    (which,) = struct.unpack_from("<H", maps, 4)
    if which not in partitions:
        raise IsoError("this UDF volume has no partition")
    start, length = partitions[which]
    there = image.place(start * SECTOR, length * SECTOR, "the UDF partition")
    set_block, set_part = _long(logical, 248)[1:]
    if set_part:
        raise IsoError("this UDF volume has files in a partition that it does not have")
    files = _tagged(image, there.offset + set_block * block, 512, _SET)
    label = _dstring(logical[84:212])
    root = _long(files, 400)[1]
    return Space(label, there.offset, there.size, block, root)


def walk(image: Image, volume: Space) -> Tree:
    """All files of the volume."""
    into = Gathering(image)
    todo = [("", volume.root)]
    while todo:
        folder, place = todo.pop()
        into.enter(place, folder)
        entry = _entry(image, volume, place)
        if entry.kind != _FOLDER:
            raise IsoError(f"folder {folder or '/'!r:.120} of this ISO is none")
        for name, flags, where in _names(_contents(image, entry, folder)):
            path = into.path(folder, name)
            if flags & _IS_FOLDER:
                into.add(path, None)
                todo.append((path, where))
            else:
                found = _entry(image, volume, where)
                if found.kind == _PLAIN:
                    into.add(path, _one(found, path))
    return into.tree(fold=True)


def _names(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Name, flags and the place of the file entry, of each file identifier (4/14.4)."""
    at = 0
    while at + 38 <= len(data):
        length, (use,) = data[at + 19], struct.unpack_from("<H", data, at + 36)
        flags = data[at + 18]
        end = at + 38 + use + length
        after = end + -(end - at) % 4
        if after > len(data):
            raise IsoError("this ISO has a damaged folder")
        _check(data[at:after], _NAME, contents=False)  # as Linux does: there are other makers' sums
        if not flags & (_IS_DELETED | _IS_PARENT):
            _, block, part = _long(data, at + 20)
            if part:
                raise IsoError("this ISO has a file in a partition that it does not have")
            yield _compressed(data[end - length : end]), flags, block
        at = after


def _entry(image: Image, volume: Space, block: int) -> Entry:
    """The file entry in this block of the partition (4/14.9, 4/14.17)."""
    offset = _inside(volume, block * volume.block, volume.block).offset
    raw = image.at(offset, volume.block)
    (tag,) = struct.unpack_from("<H", raw)
    if tag not in (_FILE, _EXTENDED):
        raise IsoError(f"this ISO has no file at byte {offset}, where one should be")
    _check(raw, tag)
    begin = 176 if tag == _FILE else 216
    (size,) = struct.unpack_from("<Q", raw, 56)
    attributes, descriptors = struct.unpack_from("<II", raw, begin - 8)
    start, kind = begin + attributes, raw[27]
    if start + descriptors > len(raw):
        raise IsoError(f"this ISO has a damaged file at byte {offset}")
    form = struct.unpack_from("<H", raw, 34)[0] & 7
    if form == _EMBEDDED:
        if size > descriptors:
            raise IsoError(f"this ISO has a damaged file at byte {offset}")
        return Entry(kind, size, (Place(offset + start, size),))
    if form not in (_SHORT, _LONG):
        raise IsoError("this ISO has files whose places are told in another way than media's")
    pieces = _pieces(image, volume, raw[start : start + descriptors], form)
    extents = tuple(image.place(one.offset, one.size, "a file") for one in pieces)
    if sum(one.size for one in extents) < size:
        raise IsoError(f"this ISO has only a part of the file at byte {offset}")
    return Entry(kind, size, extents)


def _pieces(image: Image, volume: Space, raw: bytes, form: int) -> Iterator[Place]:
    width = 8 if form == _SHORT else 16
    for _ in range(_EXTENTS // (SECTOR // width)):
        more: int | None = None
        for at in range(0, len(raw) - width + 1, width):
            length, block = struct.unpack_from("<II", raw, at)
            kind, length = length >> 30, length & 0x3FFFFFFF
            if not length:
                return
            if kind == 3:  # the list goes on there (4/14.14.1.1)
                more = block
                break
            if kind or (form == _LONG and struct.unpack_from("<H", raw, at + 8)[0]):
                raise IsoError("this ISO has a file with holes, or in another partition")
            yield _inside(volume, block * volume.block, length)
        if more is None:
            return
        offset = _inside(volume, more * volume.block, volume.block).offset
        after = _tagged(image, offset, volume.block, _MORE)
        (size,) = struct.unpack_from("<I", after, 20)
        raw = after[24 : 24 + size]
    raise IsoError("this ISO has a file in more pieces than any has")


def _one(entry: Entry, path: str) -> Place:
    """The file as one place; IsoError where its bytes do not stand together."""
    if not entry.size:
        return Place(0, 0)
    first = entry.extents[0]
    end = first.offset
    for extent in entry.extents:
        if extent.offset != end and end - first.offset < entry.size:
            raise IsoError(
                f"{path:.120} of this ISO stands in several places",
                "it cannot be served from inside: make the ISO again",
            )
        end += extent.size
    return Place(first.offset, entry.size)


def _contents(image: Image, entry: Entry, folder: str) -> bytes:
    if entry.size > image.limits.directory:
        raise IsoError(f"folder {folder!r:.120} of this ISO has {entry.size} bytes")
    data = b"".join(image.at(one.offset, one.size) for one in entry.extents)
    return data[: entry.size]


def _inside(volume: Space, offset: int, size: int) -> Place:
    """A place in the partition, as one in the image."""
    if offset + size > volume.size:
        raise IsoError(
            f"this ISO has something at byte {offset} of a partition of {volume.size} bytes",
            "it is truncated or damaged: get it again",
        )
    return Place(volume.start + offset, size)


def _tagged(image: Image, offset: int, size: int, tag: int) -> bytes:
    raw = image.at(offset, size)
    _check(raw, tag)
    return raw


def _check(raw: bytes, tag: int, *, contents: bool = True) -> None:
    """IsoError where this is no descriptor with that tag (3/7.2), or its checksums differ.

    :param contents: not only the tag's own sum counts, but that of what follows it
    """
    found, _, sum_of_tag, _, _, crc, length, _ = struct.unpack_from("<HHBBHHHI", raw)
    whole = length <= len(raw) - 16 and crc_hqx(raw[16 : 16 + length], 0) == crc
    whole = whole or not contents
    if found != tag or not whole or sum((*raw[:4], *raw[5:16])) % 256 != sum_of_tag:
        raise IsoError(f"this ISO is damaged: it has no descriptor {tag} where one should be")


def _long(raw: bytes, at: int) -> tuple[int, int, int]:
    """An allocation descriptor (4/14.14.2): length, block, partition."""
    length, block, part = struct.unpack_from("<IIH", raw, at)
    return length & 0x3FFFFFFF, block, part


def _compressed(raw: bytes) -> str:
    """A name in OSTA's form (UDF 2.1.1): 8 or 16 bits for each letter."""
    if raw[:1] == b"\x08":
        return raw[1:].decode("latin-1")
    if raw[:1] == b"\x10":
        return raw[1:].decode("utf-16-be", "replace")
    raise IsoError("this ISO has a file without a name")


def _dstring(raw: bytes) -> str:
    """A text with its length in the last byte (1/7.2.12); "" where there is none."""
    length = raw[-1]
    try:
        return _compressed(raw[:length]) if 0 < length < len(raw) else ""
    except IsoError:
        return ""
