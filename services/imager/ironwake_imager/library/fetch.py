"""Sources from the network: from hosts that the site allows, with a checksum, taken up again.

    <cache>/images/<sha256>.part     what is there so far of the file with this checksum

The checksum is demanded before a connection is made: it names the part, so that a second run goes
on where the first one ended, and it is what makes plain HTTP good enough.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ironwake.artifact import Artifact, ArtifactError
from ironwake.errors import InputError, RefusedError
from ironwake_imager import download
from ironwake_imager.download import Limits, Told

_SCHEMES: Final = {"https": 443, "http": 80}


def is_url(source: str) -> bool:
    """Whether a source is meant to be fetched."""
    return "://" in source


@contextmanager
def fetched(
    url: str,
    sha256: str,
    cache: Path,
    limits: Limits,
    told: Told,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Path]:
    """The file behind a URL, whole, with that checksum; gone when what is done with it went well.

    :raises InputError: it must not be fetched
    :raises RefusedError: it is too large, or not the file that was meant
    :raises BrokenError: the way there or the server failed; what came is kept for the next run
    """
    check(url, sha256, limits)
    with download.begun(cache / "images", sha256, url) as part:
        path = Path(part.name)
        download.bring(url, part, limits, told, clock)
        if _sha256(path) != sha256:
            download.forget(path)
            raise RefusedError(
                f"what {url} gave has another SHA-256 than {sha256}",
                "correct the checksum, or find out who changed the file",
            )
        try:
            yield path
        except (InputError, RefusedError):
            download.forget(path)
            raise
        download.forget(path)


def check(url: str, sha256: str, limits: Limits) -> None:
    """InputError where a URL must not be fetched."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InputError(f"{url!r:.200} is no URL") from None
    if parts.scheme not in _SCHEMES or not host or parts.username or parts.password:
        raise InputError(
            f"{url!r:.200} cannot be fetched", "give a plain https:// or http:// address"
        )
    name = host if port in (None, _SCHEMES[parts.scheme]) else f"{host}:{port}"
    if name not in limits.hosts:
        raise InputError(
            f"nothing is fetched from {name}", "allow that host in IRONWAKE_IMAGE_HOSTS"
        )
    if not sha256:
        raise InputError(f"there is no checksum for {url}", "give it with --sha256")
    try:
        Artifact(sha256, 0)
    except ArtifactError as error:
        raise InputError(error.what, "give 64 digits with --sha256") from None


def _sha256(part: Path) -> str:
    with part.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
