"""Files that survive a power cut: a name is on the disk once its folder is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ironwake.errors import RefusedError

# Writers' umask must not hide what services read that run as another user.
FILE_MODE, FOLDER_MODE = 0o644, 0o755


def open_folder(path: Path) -> None:
    """Make what is missing of the path, for everybody to read; what is there stays as it is."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for one in reversed(missing):
        try:
            one.mkdir()
        except FileExistsError:  # another process was first
            continue
        one.chmod(FOLDER_MODE)


def sync_folder(folder: Path) -> None:
    """Returns once the folder's names are on the disk (fsync(2): the file's own is not enough)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, data: bytes, mode: int | None = None) -> None:
    """Give the file new contents: whole and on the disk when this returns, or as it was before.

    :param mode: the file's; what the umask says where it is None
    """
    aside = path.with_suffix(".new")
    with aside.open("wb") as out:
        if mode is not None:
            os.fchmod(out.fileno(), mode)
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    aside.replace(path)
    sync_folder(path.parent)


@contextmanager
def whole(target: Path) -> Iterator[BinaryIO]:
    """A new file, large as it may be, that gets its name at the end, and is gone otherwise."""
    folder = target.absolute().parent
    if not folder.is_dir():
        raise RefusedError(f"there is no folder {folder}", "make it first")
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(target)
        sync_folder(folder)
    finally:
        Path(name).unlink(missing_ok=True)
