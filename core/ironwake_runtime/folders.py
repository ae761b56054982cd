"""Folders that others may have filled: no link in one leads to a file of this host."""

from __future__ import annotations

import errno
from pathlib import Path

from ironwake.errors import InputError


def own(path: Path, folder: Path, where: str = "") -> Path:
    """The file that this path leads to, in this folder or below; `where` is the error's.

    What a file is wrong in, is quoted; so a link to a file of this host would show it to whoever
    may only see what we say.

    :raises InputError: it leads out of the folder, or is no file
    :raises OSError: there is none
    """
    try:
        found, home = path.resolve(strict=True), folder.resolve(strict=True)
    except RuntimeError:  # a link to itself (CPython 3.11)
        raise OSError(errno.ELOOP, "it is a link to itself") from None
    if not found.is_relative_to(home):
        raise InputError(f"{path.name} leads out of {folder}", "put the file itself there", where)
    if not found.is_file():
        raise InputError(f"{path.name} is no file", "name a file", where)
    return found
