"""Sources from the network: from hosts that the site allows, with a checksum, taken up again.

    <cache>/images/<sha256>.part     what is there so far of the file with this checksum

The checksum is demanded before a connection is made: it names the part, so that a second run goes
on where the first one ended, and it is what makes plain HTTP good enough.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol
from urllib.parse import urljoin, urlsplit

import httpx2

from ironwake.artifact import Artifact, ArtifactError
from ironwake.errors import BrokenError, InputError, RefusedError
from ironwake.sizes import size_text

_SCHEMES: Final = {"https": 443, "http": 80}
_PATIENCE: Final = 30.0  # seconds without a byte
_REDIRECTS: Final = 5
_KEPT: Final = 7 * 86400  # seconds; parts that nobody went on with are cleared away then
_AGAIN: Final = "run it again: it goes on where it ended"


@dataclass(frozen=True)
class Limits:
    """What may be fetched.

    `hosts` are names, with `:port` where it is not the scheme's own; none means nothing may.
    """

    hosts: tuple[str, ...] = ()
    largest: int = 2 << 40
    seconds: float = 7200.0

    @classmethod
    def of(cls, hosts: str, largest: int, minutes: float) -> Limits:
        """From the settings: names with commas between."""
        names = tuple(name.strip().lower() for name in hosts.split(",") if name.strip())
        return cls(names, largest, minutes * 60)


class Told(Protocol):
    """Told how far it is."""

    def __call__(self, done: int, whole: int | None) -> None:
        """Both in bytes."""


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
    folder = cache / "images"
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    path = folder / f"{sha256}.part"
    with path.open("a+b") as part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(f"{url} is being fetched already", "wait for its end") from None
        _bring_all(url, part, limits, told, clock)
        if _sha256(path) != sha256:
            path.unlink(missing_ok=True)
            raise RefusedError(
                f"what {url} gave has another SHA-256 than {sha256}",
                "correct the checksum, or find out who changed the file",
            )
        try:
            yield path
        except (InputError, RefusedError):
            path.unlink(missing_ok=True)
            raise
        path.unlink(missing_ok=True)


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


def _bring_all(
    url: str, part: BinaryIO, limits: Limits, told: Told, clock: Callable[[], float]
) -> None:
    """Take what is missing, again and again as long as something comes."""
    end = clock() + limits.seconds
    while True:
        before = part.seek(0, os.SEEK_END)
        try:
            return _bring(url, part, limits, told, lambda: clock() > end)
        except BrokenError:
            if part.seek(0, os.SEEK_END) <= before:
                raise


def _bring(
    url: str, part: BinaryIO, limits: Limits, told: Told, is_late: Callable[[], bool]
) -> None:
    """Take what is still missing of it."""
    have = part.seek(0, os.SEEK_END)
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    try:
        with (
            httpx2.Client(timeout=_PATIENCE, follow_redirects=False) as client,
            _reply(client, url, headers) as reply,
        ):
            if have and reply.status_code == 416:
                return  # all of it is there, or it is another file: the checksum tells
            if reply.status_code not in (200, 206):
                raise BrokenError(f"{url} gave the status {reply.status_code}", "correct the URL")
            if reply.status_code == 206 and not _goes_on(reply, have):
                raise BrokenError(f"{url} gave another part than the one from byte {have}")
            if reply.status_code == 200:
                have = 0
            part.truncate(have)
            length = reply.headers.get("content-length", "")
            whole = have + int(length) if length.isascii() and length.isdigit() else None
            _within(whole or 0, limits, url)
            for piece in reply.iter_raw():  # as it comes: what is gathered would be lost
                _within(have + len(piece), limits, url)
                if is_late():
                    raise BrokenError(
                        f"{url} took longer than {limits.seconds / 60:.3g} minutes",
                        f"{_AGAIN}; or raise IRONWAKE_IMAGE_MINUTES",
                    )
                part.write(piece)
                have += len(piece)
                told(have, whole)
    except httpx2.HTTPError as error:
        raise BrokenError(f"cannot fetch {url}: {error}", _AGAIN) from error
    finally:
        part.flush()


@contextmanager
def _reply(client: httpx2.Client, url: str, headers: dict[str, str]) -> Iterator[httpx2.Response]:
    """The reply, after redirections that stay on the same host."""
    first = urlsplit(url)
    for _ in range(_REDIRECTS + 1):
        with client.stream("GET", url, headers=headers) as reply:
            target = reply.headers.get("location", "")
            if reply.status_code not in (301, 302, 303, 307, 308) or not target:
                yield reply
                return
            url = urljoin(url, target)
        there = urlsplit(url)
        if (there.scheme, there.netloc) != (first.scheme, first.netloc):
            raise RefusedError(
                f"{first.netloc} sends us on to {there.scheme}://{there.netloc}",
                "give the address that the file really has",
            )
    raise RefusedError(f"{first.netloc} sends us on for ever", "correct the URL")


def _goes_on(reply: httpx2.Response, have: int) -> bool:
    """Whether a part that came is the one that is missing."""
    return bool(reply.headers.get("content-range", "").startswith(f"bytes {have}-"))


def _within(count: int, limits: Limits, url: str) -> None:
    if count > limits.largest:
        raise RefusedError(
            f"{url} is larger than {size_text(limits.largest)}", "raise IRONWAKE_IMAGE_LARGEST"
        )


def _sha256(part: Path) -> str:
    with part.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _clear(folder: Path, now: Callable[[], float] = time.time) -> None:
    """Take away parts that nobody has gone on with."""
    for path in folder.glob("*.part"):
        if path.stat().st_mtime < now() - _KEPT:
            path.unlink(missing_ok=True)
