"""What all kinds of file systems share here: how they are read, and maps of one bit a block."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

# (where in the file system, how many) in bytes; fewer at its end
Read = Callable[[int, int], bytes]
Run = tuple[int, int]  # (where, how long)

_FREE: Final = re.compile(rb"\x00+")  # of whole octets: eight blocks each


def zero_runs(bitmap: bytes, count: int) -> Iterator[Run]:
    """(first, how many) of the blocks whose bits are zero, of `count`; the lowest bit comes first.

    Runs of less than eight blocks are left out.
    """
    for run in _FREE.finditer(bitmap[: count // 8]):
        yield run.start() * 8, (run.end() - run.start()) * 8
