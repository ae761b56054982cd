"""Files from the network, taken up where they ended: RFC 9110's Range, with If-Range.

A part is a file of the caller's. Beside it stands what the server called that file (its ETag, or
when it was changed last), so that a part of one file is never mended with the rest of another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext
from typing import BinaryIO, Final, Protocol
from urllib.parse import urljoin, urlsplit

import httpx2

from ironwake.errors import BrokenError, RefusedError
from ironwake.sizes import size_text
from ironwake_runtime import locks

_PATIENCE: Final = 30.0  # seconds without a byte
_REDIRECTS: Final = 5
_AGAIN: Final = "run it again: it goes on where it ended"
_KEPT: Final = 7 * 86400  # seconds
_FROM: Final = ".from"
_ABSENT: Final = (404, 410)
_PASSING: Final = (408, 425, 429)  # too slow, too early, too often


class AbsentError(BrokenError):
    """The server has answered, and has it not: it is not asked again, nor is another one."""


@dataclass(frozen=True)
class Limits:
    """What may be fetched.

    `hosts` are names, with `:port` where it is not the scheme's own; none means nothing may.
    `follow`: also to another host that the first one sends us to, and with `plain` even from https
    to http: for what a checksum proves anyhow. `trust`: whose certificates count; None for the
    system's.
    """

    hosts: tuple[str, ...] = ()
    largest: int = 2 << 40
    seconds: float = 7200.0
    follow: bool = False
    plain: bool = False
    trust: SSLContext | None = None

    @classmethod
    def of(cls, hosts: str, largest: int, minutes: float) -> Limits:
        """From the settings: names with commas between."""
        names = tuple(name.strip().lower() for name in hosts.split(",") if name.strip())
        return cls(names, largest, minutes * 60)


class Told(Protocol):
    """Told how far it is."""

    def __call__(self, done: int, whole: int | None) -> None:
        """Both in bytes."""


def bring(
    url: str,
    part: BinaryIO,
    limits: Limits,
    told: Told,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Take what is missing of a file, again and again as long as something comes.

    :param part: what is there of it, open to be read and written; `part.name` is its path
    :raises RefusedError: it is too large, or somewhere else
    :raises AbsentError: the server says that there is no such file
    :raises BrokenError: the way there or the server failed; what came is kept
    """
    end = clock() + limits.seconds
    while True:
        before = part.seek(0, os.SEEK_END)
        try:
            return _bring(url, part, limits, told, lambda: clock() > end)
        except BrokenError:
            if part.seek(0, os.SEEK_END) <= before:
                raise


def small(url: str, limits: Limits, clock: Callable[[], float] = time.monotonic) -> bytes:
    """A small file whole; raises what `bring` does, and `limits.largest` is small."""
    end = clock() + limits.seconds
    with _opened(url, limits, {}) as reply:
        if reply.status_code != 200:
            raise _status(url, reply.status_code)
        data = bytearray()
        for piece in reply.iter_bytes():
            data += piece
            if len(data) > limits.largest:
                most = size_text(limits.largest)
                raise RefusedError(f"{url} is larger than {most}", "correct the URL")
            if clock() > end:
                raise BrokenError(f"{url} took longer than {limits.seconds:g} s", "run it again")
        return bytes(data)


@contextmanager
def begun(
    folder: Path, key: str, url: str, take: Callable[[BinaryIO], bool] = locks.take
) -> Iterator[BinaryIO]:
    """The part of what is called `key`, with what is there of it; RefusedError: another has it.

    Parts that nobody has gone on with for a week are cleared away.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    path = folder / f"{key}.part"
    while True:
        with path.open("a+b") as part:
            if not take(part):
                raise RefusedError(f"{url} is being fetched already", "wait for its end")
            # Between the two, another run may have ended, and given the file away: to the store.
            if _is_there(part, path):
                yield part
                return


def _is_there(part: BinaryIO, path: Path) -> bool:
    """Whether the name still is this file's."""
    try:
        return os.path.samestat(os.fstat(part.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _clear(folder: Path, now: Callable[[], float] = time.time) -> None:
    for path in folder.glob("*.part"):
        with suppress(FileNotFoundError):  # its own run has just ended well
            if path.stat().st_mtime < now() - _KEPT:
                with path.open("rb") as part:
                    if locks.take(part) and _is_there(part, path):
                        forget(path)
    for note in folder.glob(f"*.part{_FROM}"):
        with suppress(FileNotFoundError):
            is_alone = not note.with_name(note.name.removesuffix(_FROM)).exists()
            if is_alone and note.stat().st_mtime < now() - _KEPT:
                note.unlink()


def forget(part: Path) -> None:
    """Take a part away, and what is written down of it."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _bring(
    url: str, part: BinaryIO, limits: Limits, told: Told, is_late: Callable[[], bool]
) -> None:
    """Take what is still missing of it."""
    have = part.seek(0, os.SEEK_END)
    try:
        with _opened(url, limits, _headers(part, have)) as reply:
            if have and reply.status_code == 416:
                return  # all of it is there, or it is another file: the checksum tells
            if reply.status_code not in (200, 206):
                raise _status(url, reply.status_code)
            if reply.status_code == 206 and not _goes_on(reply, have):
                raise BrokenError(f"{url} gave another part than the one from byte {have}")
            if reply.status_code == 200:
                have = 0
                _remember(part, reply)
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
    finally:
        part.flush()


def _status(url: str, status: int) -> BrokenError:
    """What a status means: of those that blame us (RFC 9110 section 15.5) a few will pass, and few
    say that there is no such file; by the others the server, or a filter before it, keeps us out.
    """
    says = f"{url} gave the status {status}"
    if status in _ABSENT:
        return AbsentError(says, "correct the URL")
    if 400 <= status < 500 and status not in _PASSING:
        step = "look whether a proxy, or a login, stands between; or add the file with --from"
        return BrokenError(says, step)
    return BrokenError(says, _AGAIN)


def _headers(part: BinaryIO, have: int) -> dict[str, str]:
    if not have:
        return {}
    note = _note(Path(part.name))
    known = note.read_text("utf-8") if note.is_file() else ""
    return {"Range": f"bytes={have}-"} | ({"If-Range": known} if known else {})


def _remember(part: BinaryIO, reply: httpx2.Response) -> None:
    """What If-Range takes (RFC 9110 section 13.1.5): a strong tag, or a date."""
    tag = reply.headers.get("etag", "")
    known = tag if tag.startswith('"') else reply.headers.get("last-modified", "")
    note = _note(Path(part.name))
    if known and known.isascii() and known.isprintable() and len(known) < 200:
        note.write_text(known, "utf-8")
    else:
        note.unlink(missing_ok=True)


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}{_FROM}")


@contextmanager
def _opened(url: str, limits: Limits, headers: dict[str, str]) -> Iterator[httpx2.Response]:
    """The reply, after redirections that stay on the same host, where nothing else is said."""
    first = urlsplit(url)
    headers = {"Accept-Encoding": "identity", **headers}
    try:
        with httpx2.Client(
            timeout=_PATIENCE, follow_redirects=False, verify=limits.trust or True
        ) as client:
            for _ in range(_REDIRECTS + 1):
                with client.stream("GET", url, headers=headers) as reply:
                    target = reply.headers.get("location", "")
                    if reply.status_code not in (301, 302, 303, 307, 308) or not target:
                        yield reply
                        return
                    url = urljoin(url, target)
                _check_redirection(first.scheme, first.netloc, url, limits)
    except httpx2.HTTPError as error:
        raise BrokenError(f"cannot fetch {url}: {error}", _AGAIN) from error
    raise RefusedError(f"{first.netloc} sends us on for ever", "correct the URL")


def _check_redirection(scheme: str, host: str, url: str, limits: Limits) -> None:
    there = urlsplit(url)
    allowed = ("https", "http") if limits.plain or scheme == "http" else ("https",)
    if limits.follow and there.scheme in allowed:
        return
    if (there.scheme, there.netloc) != (scheme, host):
        raise RefusedError(
            f"{host} sends us on to {there.scheme}://{there.netloc}",
            "give the address that the file really has",
        )


def _goes_on(reply: httpx2.Response, have: int) -> bool:
    """Whether a part that came is the one that is missing."""
    return bool(reply.headers.get("content-range", "").startswith(f"bytes {have}-"))


def _within(count: int, limits: Limits, url: str) -> None:
    if count > limits.largest:
        raise RefusedError(
            f"{url} is larger than {size_text(limits.largest)}", "raise IRONWAKE_IMAGE_LARGEST"
        )
