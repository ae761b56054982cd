"""The archive's way from the appliance to the disk: hashed while it flows, resumed when it breaks.

    HTTP → SHA-256 → zstd -dc → guard → tar -x

The guard refuses what a root file system must not have, and more than the order says. The hash is
known only at the end, when everything is unpacked already. Therefore nothing that makes the disk
bootable is written before: a damaged archive leaves a disk that does not boot.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import IO

from ironwake.errors import BrokenError, IronwakeError
from ironwake.order import Archive
from ironwake.rootfs.rules import Limits
from ironwake.sizes import size_text
from ironwake_agent.client import UnreachableError, opened
from ironwake_agent.commands import last_line
from ironwake_agent.guard import Guard, limits
from ironwake_agent.patience import Patience

_CHUNK = 1 << 18

# Its default window of 128 MiB: a longer one is memory that a small machine has not.
_ZSTD = ("zstd", "-d", "-c", "-q")
_TAR = (
    *("tar", "--extract", "--preserve-permissions", "--same-owner", "--numeric-owner"),
    *("--xattrs", "--xattrs-include=*", "--acls", "--delay-directory-restore"),
    # a ramdisk's clock may be years behind
    *("--warning=no-timestamp", "--file=-"),
)


class DamagedError(BrokenError):
    """The archive is not the one that the order names."""


def fetch(
    archive: Archive, patience: Patience, say: Callable[[str], None] = lambda _: None
) -> Iterator[bytes]:
    """The archive's bytes, in order, each once, however often the connection breaks.

    :param patience: how long nothing at all may come
    :raises BrokenError: the appliance refuses, or nothing comes for too long
    """
    position = 0
    waiting = patience.start()
    while position < archive.size:
        try:
            with _from(archive.url, position) as response:
                _check_length(archive, response, position)
                while chunk := response.read1(_CHUNK):
                    position += len(chunk)
                    waiting.progress()
                    yield chunk
                    if position > archive.size:
                        return  # too much is as wrong as too little: `unpack` says so
            trouble = "the connection ended early"
        except UnreachableError as error:
            trouble = str(error)
        if position >= archive.size:
            return
        say(f"{trouble}; going on after {size_text(position)}")
        if not waiting.again():
            raise BrokenError(
                f"nothing of the archive came for {patience.seconds:g} s: {trouble}",
                "look at the appliance and the network between",
            )


def unpack(
    archive: Archive,
    chunks: Iterator[bytes],
    target: Path,
    progress: Callable[[float], None],
) -> None:
    """Write the archive's files below `target`, and check size and SHA-256.

    All of it is hashed even if zstd or tar gives up before: the hash tells whether the bytes are at
    fault or what unpacks them.

    :param progress: called with 0.0 to 1.0; may raise to stop
    :raises DamagedError: it is not what the order names
    :raises RootError: a member must not be unpacked, or is more than the order says
    :raises BrokenError: zstd or tar failed; has their last line
    """
    tally = _Tally(archive, chunks, progress)
    with _pipeline(target, limits(archive)) as pipe:
        for chunk in tally:
            pipe.sink.write(chunk)
    for _ in tally:
        pass
    tally.check()
    if pipe.trouble:
        raise pipe.trouble


class _Tally:
    """The chunks, counted and hashed as they pass."""

    def __init__(
        self, archive: Archive, chunks: Iterator[bytes], progress: Callable[[float], None]
    ) -> None:
        self._archive = archive
        self._chunks = chunks
        self._progress = progress
        self._digest = hashlib.sha256()
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._digest.update(chunk)
            self._size += len(chunk)
            yield chunk
            self._progress(self._size / self._archive.size)

    def check(self) -> None:
        """Raise DamagedError unless it was all that the order names, and nothing else."""
        archive, found = self._archive, self._digest.hexdigest()
        if self._size != archive.size or found != archive.sha256:
            raise DamagedError(
                f"the archive is damaged: {self._size} bytes with SHA-256 {found} came,"
                f" the order says {archive.size} bytes with {archive.sha256}",
                "check the appliance's disk, and whatever stands between; then deploy again",
            )


@contextmanager
def _from(url: str, position: int) -> Iterator[HTTPResponse]:
    headers = {"Range": f"bytes={position}-"} if position else {}
    with opened("GET", url, headers=headers) as response:
        if response.status >= 500:
            raise UnreachableError(f"the appliance answered HTTP {response.status}")
        if response.status not in (200, 206):
            raise BrokenError(
                f"the appliance does not give the archive: HTTP {response.status}",
                "check that the media are still there: ironwake media list",
            )
        if response.status == 200:
            _skip(response, position)  # a cache that knows no ranges
        yield response


def _skip(response: HTTPResponse, count: int) -> None:
    while count > 0:
        chunk = response.read1(min(_CHUNK, count))
        if not chunk:
            raise UnreachableError("the connection ended early")
        count -= len(chunk)


def _check_length(archive: Archive, response: HTTPResponse, position: int) -> None:
    total = (response.getheader("Content-Range") or "").rpartition("/")[2]
    if response.status == 200 and not position:
        total = response.getheader("Content-Length") or ""
    if total.isdigit() and int(total) != archive.size:
        raise DamagedError(
            f"the appliance has an archive of {total} bytes, the order says {archive.size}",
            "deploy again: the media have changed since",
        )


@dataclass
class _Pipe:
    """`trouble` is known after the end: what the guard, zstd or tar complained of."""

    sink: IO[bytes]
    trouble: IronwakeError | None = None


@contextmanager
def _pipeline(target: Path, allowed: Limits) -> Iterator[_Pipe]:
    """What is written to it is decompressed and unpacked; ends when all of it is on the disk.

    Ends before, without an error, when one of the two programs gives up.
    """
    with tempfile.TemporaryFile() as zstd_words, tempfile.TemporaryFile() as tar_words:
        zstd = subprocess.Popen(
            _ZSTD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=zstd_words
        )
        tar = subprocess.Popen(
            (*_TAR, f"--directory={target}"), stdin=subprocess.PIPE, stderr=tar_words
        )
        assert zstd.stdin is not None  # noqa: S101 - we asked for pipes
        assert zstd.stdout is not None  # noqa: S101
        assert tar.stdin is not None  # noqa: S101
        guard = Guard(zstd.stdout, tar.stdin, allowed)
        guard.start()
        pipe = _Pipe(zstd.stdin)
        try:
            try:
                yield pipe
                zstd.stdin.close()
            except BrokenPipeError:
                pass  # one of them gave up, and says why below
            zstd.wait()
            guard.join()
            tar.wait()
        finally:
            _kill(zstd, tar)
            guard.join()
            _close(zstd.stdin, tar.stdin)
        pipe.trouble = (
            _judge("zstd", zstd.returncode, zstd_words)
            or guard.trouble
            or _judge("tar", tar.returncode, tar_words)
            or _judge("zstd", abs(zstd.returncode), zstd_words)
        )


def _judge(name: str, code: int, words: IO[bytes]) -> BrokenError | None:
    words.seek(0)
    text = last_line(words.read().decode("utf-8", "replace"))
    # Negative: ended by a signal, because the other one gave up first.
    if code <= 0 or "Broken pipe" in text:
        return None
    kind = DamagedError if name == "zstd" else BrokenError
    return kind(f"{name} could not unpack the archive: {text or f'it ended with {code}'}")


def _kill(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def _close(*pipes: IO[bytes]) -> None:
    for pipe in pipes:
        with suppress(BrokenPipeError):
            pipe.close()
