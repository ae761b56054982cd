"""The package cache of this appliance: whether there is one, what it stands before, where it is.

<packages>/files/                         what nginx keeps of mirrors
<packages>/imported/packages/<source>/    mirrors as bundles brought them
<packages>/imported/<source>.json         the URLs that each of them stands for
<packages>/counts.json                    what was served, and what was fetched
<packages>/nginx.conf, nginx.pid, parts/, lock
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from ironwake.errors import BrokenError, InputError
from ironwake.packagecache import DEBIAN, IMPORTED, PREFIX, SECURITY, Source, joined, named
from ironwake_runtime import durable
from ironwake_runtime.aptsources import MirrorError, mirror_of
from ironwake_runtime.settings import Settings

NOT_THERE = "install nginx from the distribution, or set IRONWAKE_PACKAGES to off"


def program() -> str | None:
    """nginx, wherever the distribution has it."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def is_wanted(settings: Settings) -> bool:
    """Whether machines are sent to the cache: as the settings say; auto: where nginx is here."""
    if settings.packages == "auto":
        return program() is not None
    return settings.packages == "on"


def is_ours(settings: Settings, find: Callable[[], str | None] = program) -> bool:
    """Whether to run it here; InputError where it is demanded, and nginx is not there."""
    there = find() is not None
    if settings.packages == "on" and not there:
        raise InputError("nginx is not installed", NOT_THERE, "IRONWAKE_PACKAGES")
    return there and settings.packages != "off"


def sources(settings: Settings) -> tuple[Source, ...]:
    """What it stands before: the site's mirror, the further ones, and what was imported.

    :raises InputError: a setting is wrong
    """
    further = _further(settings.packages_mirrors)
    return joined((*_own(settings), *further, *imported(settings.packages_folder)))


def _own(settings: Settings) -> Iterator[Source]:
    try:
        mirror = mirror_of(settings.mirror)
    except MirrorError:
        if settings.mirror:
            raise
        return
    for name, url in ((DEBIAN, mirror.main), (SECURITY, mirror.security)):
        if url and url.startswith(("http://", "https://")):  # others need no cache
            yield Source(name, url)


def _further(text: str) -> tuple[Source, ...]:
    try:
        return named(text)
    except InputError as error:
        raise InputError(error.what, error.next_step, "IRONWAKE_PACKAGES_MIRRORS") from None


def imported(folder: Path) -> tuple[Source, ...]:
    """The mirrors that bundles brought; BrokenError where what is known of one is damaged."""
    found = []
    for path in sorted((folder / IMPORTED).glob("*.json")):
        try:
            urls = tuple(str(url) for url in json.loads(path.read_bytes())["urls"])
            found.append(Source(path.stem, "", urls, imported=True))
        except (ValueError, KeyError, TypeError, InputError) as error:
            raise BrokenError(
                f"is damaged: {error}", "import the bundle again", str(path)
            ) from None
    return tuple(found)


def mirrors_folder(folder: Path) -> Path:
    """Where bundles' mirrors lie, as nginx serves them."""
    return folder / IMPORTED / PREFIX


def mirror_folder(folder: Path, source: str) -> Path:
    """Where one of them lies."""
    return mirrors_folder(folder) / source


def remember(folder: Path, source: Source) -> None:
    """Write down which URLs an imported mirror stands for, besides those known already."""
    known = next((one for one in imported(folder) if one.name == source.name), Source(source.name))
    urls = [url for url in joined((known, source))[0].also if url]
    if source.url and source.url not in urls:
        urls.append(source.url)
    durable.open_folder(folder / IMPORTED)
    durable.replace(
        folder / IMPORTED / f"{source.name}.json",
        f"{json.dumps({'urls': urls})}\n".encode(),
        durable.FILE_MODE,
    )


def forget(folder: Path, source: str) -> None:
    """Take an imported mirror away; it is no source any more before its files go."""
    (folder / IMPORTED / f"{source}.json").unlink(missing_ok=True)
    shutil.rmtree(mirror_folder(folder, source), ignore_errors=True)
