"""Folders in memory: what flushes all that it keeps takes longer for that than for all the rest.

Whether anything outlives a power cut is shown by no test that ends a process.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM = 1 << 30  # containers often have 64 MiB there


def new_folder() -> Path:
    """On a disk where memory has no such place, or little room."""
    is_roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM
    return Path(tempfile.mkdtemp(prefix="ironwake-test-", dir=_MEMORY if is_roomy else None))


@contextmanager
def folder() -> Iterator[Path]:
    """One that is gone at the end, with what was put beside it: a state's boot epoch is."""
    made = new_folder()
    inner = made / "folder"
    inner.mkdir()
    try:
        yield inner
    finally:
        shutil.rmtree(made)
