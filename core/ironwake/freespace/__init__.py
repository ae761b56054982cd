"""What of a file system is free, by its own maps: so that it need not be read. Pure.

One module for each kind of file system, one row below. Whatever is odd, damaged or not closed
counts as used: a free block that is read costs time, a used one that is not read costs data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ironwake.freespace import btrfs, ext, ntfs, xfs
from ironwake.freespace.reading import Read, Run

__all__ = ["Read", "Run", "free"]

# where its mark stands, the mark, its module
_KINDS: tuple[tuple[int, bytes, Callable[[Read], Iterator[Run]]], ...] = (
    (ext.MARK_AT, ext.MARK, ext.free),
    (xfs.MARK_AT, xfs.MARK, xfs.free),
    (btrfs.MARK_AT, btrfs.MARK, btrfs.free),
    (ntfs.MARK_AT, ntfs.MARK, ntfs.free),
)


def free(read: Read) -> Iterator[Run]:
    """(where, how long) in bytes, ascending, of what is certainly free; nothing for anything else.

    Where two kinds have left their marks, the maps of the older one may still be there: then
    nothing counts as free.
    """
    found = [of for place, mark, of in _KINDS if read(place, len(mark)) == mark]
    if len(found) == 1:
        yield from found[0](read)
