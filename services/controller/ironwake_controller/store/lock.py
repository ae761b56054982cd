"""One writer per database: a lock that the kernel gives back when its holder dies, however."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ironwake.errors import BrokenError, RefusedError


class WriterLock:
    """Held from construction to `close`; RefusedError names the process that holds it."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise BrokenError(
                f"the lock cannot be opened: {error.strerror}",
                "see that the state folder exists and that this user may write there",
                str(path),
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise RefusedError(
                f"another controller (pid {holder}) uses this database",
                "stop that one first, or give this one a state folder of its own",
                str(path),
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let it go; again does nothing (the number may be another file's by then)."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1
