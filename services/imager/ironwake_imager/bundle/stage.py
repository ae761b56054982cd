"""Where a bundle's files wait, verified, until all of them are there.

    <cache>/bundles/<sha256 of bundle.json>/<sha256>    a name is there once its bytes are whole

A run that was interrupted leaves what it had verified, and the next one goes on there; what nobody
has gone on with for a week is cleared away by the next import.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ironwake.bundle import Bundle, Entry
from ironwake.errors import RefusedError
from ironwake_runtime import durable
from ironwake_runtime.locks import take

_KEPT = 7 * 86400  # seconds
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def opened(folder: Path, text: bytes) -> Iterator[Stage]:
    """The stage of the bundle whose first file is this text; RefusedError where another run has it.

    :param folder: of all stages
    """
    durable.open_folder(folder)
    own = folder / hashlib.sha256(text).hexdigest()
    _clear(folder, own)
    while True:
        with suppress(FileExistsError):
            own.mkdir(mode=0o700)
        try:
            descriptor = os.open(own, _FOLDER)
        except FileNotFoundError:  # another run has just ended, and taken it away
            continue
        try:
            if not take(descriptor):
                raise RefusedError("this bundle is being imported already", "wait for its end")
            if _is_there(descriptor, own):  # or another run has ended in between
                yield Stage(own)
                return
        finally:
            os.close(descriptor)


def _is_there(descriptor: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), folder.stat())
    except FileNotFoundError:
        return False


def _clear(folder: Path, own: Path) -> None:
    for other in folder.iterdir():
        with suppress(OSError):  # gone meanwhile, or somebody else's
            if other == own or other.stat().st_mtime > time.time() - _KEPT:
                continue
            descriptor = os.open(other, _FOLDER)
            try:
                if take(descriptor):
                    shutil.rmtree(other)
            finally:
                os.close(descriptor)


class Stage:
    """Verified files by their hash; a sink of the bundle's reader."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, entry: Entry) -> Path:
        return self.folder / entry.sha256

    def read(self, entry: Entry) -> bytes:
        return self.path(entry).read_bytes()

    def missing(self, bundle: Bundle) -> int:
        """Bytes that are not here yet."""
        return sum({one.sha256: one.size for one in bundle.entries if self.wants(one)}.values())

    def wants(self, entry: Entry) -> bool:
        try:
            return self.path(entry).stat().st_size != entry.size
        except FileNotFoundError:
            return True

    def take(self, entry: Entry, pieces: Iterator[bytes]) -> None:
        aside = self.folder / ".incoming"
        with aside.open("wb") as stream:
            os.fchmod(stream.fileno(), durable.FILE_MODE)
            for piece in pieces:
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(self.path(entry))

    def clear(self) -> None:
        """All of it is in its place."""
        shutil.rmtree(self.folder)
