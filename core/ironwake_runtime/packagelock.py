"""A package cache's folder is one appliance's: its lock, which nginx and its workers hold, too."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

from ironwake.errors import RefusedError
from ironwake_runtime.locks import take

LOCK = "lock"
_DYING = 5.0  # seconds for a killed process to be gone


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """The cache is ours, and nobody else's; RefusedError where another appliance has it.

    Workers that a killed predecessor has left are ended. Gives the lock's descriptor, for nginx.
    """
    path = folder / LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if not take(descriptor):
            end_leftovers(path)
            if not take(descriptor):
                raise RefusedError(
                    f"the package cache in {folder} is another appliance's",
                    "stop that one, or set IRONWAKE_PACKAGES_DIR to another folder",
                    "IRONWAKE_PACKAGES_DIR",
                )
        yield descriptor
    finally:
        os.close(descriptor)


def end_leftovers(lock: Path, proc: Path = Path("/proc")) -> None:
    """End what a killed predecessor's nginx has left, and wait for its end.

    Its processes hold the lock, and nobody who runs them does.
    """
    others = [
        entry
        for entry in proc.glob("[0-9]*")
        if int(entry.name) != os.getpid() and _holds(entry, lock.absolute())
    ]
    if any(not _is_nginx(entry) for entry in others):
        return  # whoever runs them lives
    for entry in others:
        with contextlib.suppress(OSError):  # it ends by itself just now
            watched = os.pidfd_open(int(entry.name))
            try:
                signal.pidfd_send_signal(watched, signal.SIGKILL)
                select.select([watched], [], [], _DYING)
            finally:
                os.close(watched)


def _is_nginx(entry: Path) -> bool:
    try:
        return (entry / "comm").read_text().strip() == "nginx"
    except OSError:  # gone
        return True


def _holds(entry: Path, lock: Path) -> bool:
    with contextlib.suppress(OSError):
        for descriptor in (entry / "fd").iterdir():
            with contextlib.suppress(OSError):
                if descriptor.readlink() == lock:
                    return True
    return False
