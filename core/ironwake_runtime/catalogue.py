"""The catalogue with the site's own files: `*.toml` of a folder, after those that are built in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ironwake import catalogue, medium, release
from ironwake.catalogue import Text
from ironwake.errors import InputError
from ironwake.medium import Medium
from ironwake.release import Release

_LARGEST = 1 << 20  # bytes of a file


def texts(folder: Path) -> tuple[Text, ...]:
    """All files, ours first; a folder that is not there has none. InputError names a wrong one."""
    paths = sorted(folder.glob("[!.]*.toml")) if folder.is_dir() else []
    return (*catalogue.built_in(), *(_text(path) for path in paths))


def releases(folder: Path) -> Mapping[str, Release]:
    """By name; InputError names the file and the row that is wrong."""
    return release.releases(texts(folder))


def media(folder: Path) -> Mapping[str, Medium]:
    """By name; InputError names the file and the row that is wrong."""
    return medium.media(texts(folder))


def _text(path: Path) -> Text:
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"this file has more than {_LARGEST} bytes", "", str(path))
        return Text(str(path), path.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"this is not UTF-8: {error}", "", str(path)) from None
    except OSError as error:
        raise InputError(f"this cannot be read: {error.strerror}", "", str(path)) from None
