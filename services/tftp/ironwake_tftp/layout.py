"""Files as they go over the wire: DATA packets laid out one behind the other, once for all clients.

A window is then a slice, and one system call sends it. What is laid out are pages of some dozens of
blocks, when they are first wanted: a client that asks for a tiny blksize pays for what it reads,
and a stopped read has cost one page. Pages of shared files are kept while there is room.
"""

from __future__ import annotations

from collections import OrderedDict

from ironwake_tftp.packet import data_packet

_PAGE = 128 << 10  # octets: each running transfer holds on to one page, whatever was forgotten
_MOST_BLOCKS = 256  # of a page: laying out one must not keep the others waiting


class Pages:
    """The pages of shared files, least used ones forgotten first; `room` in octets."""

    def __init__(self, room: int = 64 << 20) -> None:
        self._room = room
        self._kept: OrderedDict[tuple[str, int, int], memoryview] = OrderedDict()

    @property
    def octets(self) -> int:
        """All that is kept."""
        return sum(len(page) for page in self._kept.values())

    def get(self, key: tuple[str, int, int]) -> memoryview | None:
        page = self._kept.get(key)
        if page is not None:
            self._kept.move_to_end(key)
        return page

    def keep(self, key: tuple[str, int, int], page: memoryview) -> None:
        """Keep a page that was not there, at the cost of others."""
        self._room -= len(page)
        while self._room < 0 and self._kept:
            self._room += len(self._kept.popitem(last=False)[1])
        self._kept[key] = page


class Source:
    """A file's bytes. With `pages` its pages are shared by all sources with the same `digest`."""

    def __init__(
        self, content: bytes | memoryview, pages: Pages | None = None, digest: str = ""
    ) -> None:
        self._content = memoryview(content)
        self._pages = pages if digest else None
        self._digest = digest

    def __len__(self) -> int:
        return len(self._content)

    def blocks(self, blksize: int) -> int:
        """How many there are. A block shorter than `blksize` ends the file, so a full last one is
        followed by an empty one."""
        return len(self._content) // blksize + 1

    def page(self, blksize: int, number: int) -> memoryview:
        """Blocks `number * per_page(blksize) + 1` and on, each with its header, as DATA packets."""
        key = (self._digest, blksize, number)
        page = self._pages.get(key) if self._pages else None
        if page is None:
            page = memoryview(self._lay_out(blksize, number))
            if self._pages:
                self._pages.keep(key, page)
        return page

    def _lay_out(self, blksize: int, number: int) -> bytes:
        first = number * per_page(blksize)
        end = min(first + per_page(blksize), self.blocks(blksize))
        content = self._content
        return b"".join(
            data_packet(n + 1, content[n * blksize : (n + 1) * blksize]) for n in range(first, end)
        )


def per_page(blksize: int) -> int:
    """How many blocks of that size a page has, but for the last one."""
    return max(1, min(_MOST_BLOCKS, _PAGE // (blksize + 4)))
