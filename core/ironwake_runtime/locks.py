"""Files that one process has at a time (flock(2)); a lock ends with whoever has it."""

from __future__ import annotations

import fcntl
from typing import BinaryIO, TextIO


def take(file: int | BinaryIO | TextIO) -> bool:
    """Whether nobody else has this file; then it is ours until it is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
