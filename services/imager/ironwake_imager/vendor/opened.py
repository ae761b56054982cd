"""ISO files on disk, opened and read in place; what a folder has of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ironwake import medium as media
from ironwake.errors import InputError, IronwakeError, RefusedError
from ironwake.iso.contents import Contents
from ironwake.iso.image import Image
from ironwake.iso.read import read
from ironwake.medium import Medium

_SUFFIX = ".iso"


@dataclass(frozen=True)
class Found:
    """An ISO file: which media it may be, or why it is none."""

    path: Path
    size: int
    label: str
    media: tuple[Medium, ...]
    why_not: str = ""


@contextmanager
def opened(path: Path) -> Iterator[Contents]:
    """An ISO file with its tree; IsoError for what cannot be believed, OSError for the disk's."""
    with path.open("rb") as stream:
        number = stream.fileno()
        image = Image(os.fstat(number).st_size, lambda offset, size: os.pread(number, size, offset))
        try:
            contents = Contents(image, read(image))
        except InputError as error:
            raise RefusedError(error.what, error.next_step, str(path)) from None
        yield contents


def look(path: Path, among: Iterable[Medium]) -> Found:
    """What one file is."""
    try:
        size = path.stat().st_size
        with opened(path) as contents:
            fitting = media.recognise(contents, among)
            why = "" if fitting else "nothing in the catalogue has these contents"
            return Found(path, size, contents.label, fitting, why)
    except IronwakeError as error:
        return Found(path, 0, "", (), f"{error.what}; {error.next_step}".strip("; "))
    except OSError as error:
        return Found(path, 0, "", (), error.strerror or str(error))


def dropped(folder: Path, among: Iterable[Medium]) -> tuple[Found, ...]:
    """All ISO files of a folder, by name; none where there is no folder."""
    rows = tuple(among)
    return tuple(look(path, rows) for path in isos(folder))


def isos(folder: Path) -> tuple[Path, ...]:
    """The ISO files that lie in a folder."""
    if not folder.is_dir():
        return ()
    there = (path for path in folder.iterdir() if path.suffix.lower() == _SUFFIX)
    return tuple(sorted(path for path in there if path.is_file() and path.name[0] != "."))
