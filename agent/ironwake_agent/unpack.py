"""The archive's way from the appliance to the disk: hashed while it flows, resumed when it breaks.

    HTTP → SHA-256 → libzstd → guard → tar -x

The guard refuses what a root file system must not have, and more than the order says. The hash is
known only at the end, when everything is unpacked already. Therefore nothing that makes the disk
bootable is written before: a damaged archive leaves a disk that does not boot.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import IO

from ironwake.errors import BrokenError, IronwakeError
from ironwake.order import Archive
from ironwake.rootfs.member import RootError
from ironwake.rootfs.rules import Limits
from ironwake.sizes import size_text
from ironwake_agent import client
from ironwake_agent.client import UnreachableError, opened
from ironwake_agent.commands import last_line
from ironwake_agent.complaints import Complaints
from ironwake_agent.guard import Guard, limits
from ironwake_agent.image.zstd import FrameError, Stream
from ironwake_agent.patience import Patience

_CHUNK = 1 << 18
_PIPE = 1 << 20  # what an unprivileged process may have, and fewer changes between the programs

_TAR = (
    *("tar", "--extract", "--preserve-permissions", "--same-owner", "--numeric-owner"),
    *("--xattrs", "--xattrs-include=*", "--acls", "--delay-directory-restore"),
    # a ramdisk's clock may be years behind
    *("--warning=no-timestamp", "--file=-"),
    # 1 MiB at once, not 10 KiB: fewer reads, and files written in fewer pieces
    "--blocking-factor=2048",
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
    complain = Complaints(say, patience.clock)
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
        complain(trouble, f"going on after {size_text(position)}")
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

    All of it is hashed even if libzstd or tar gives up before: the hash tells whether the bytes are
    at fault or what unpacks them.

    :param progress: called with 0.0 to 1.0; may raise to stop
    :raises DamagedError: it is not what the order names
    :raises RootError: a member must not be unpacked, or is more than the order says
    :raises BrokenError: tar failed; has its last line
    """
    tally = _Tally(archive, chunks, progress)
    trouble = _carry(tally, target, limits(archive))
    for _ in tally:
        pass
    tally.check()
    if trouble:
        raise trouble


def check(archive: Archive, chunks: Iterable[bytes]) -> None:
    """Raise DamagedError unless these are all bytes of the archive, and no others."""
    tally = _Tally(archive, iter(chunks), lambda _: None)
    for _ in tally:
        pass
    tally.check()


def _carry(tally: _Tally, target: Path, allowed: Limits) -> IronwakeError | None:
    """All the way, by one thread and one program: pipes between more of them take longer than the
    work itself where processors are few. What went wrong comes back, for of a damaged archive the
    damage is to be told first."""
    guard = Guard(allowed)
    with _tar(target) as tar:
        try:
            with Stream() as stream:
                for piece in _plain(tally, stream):
                    guard.admit(piece)
                    tar.give(piece)
            guard.close()
            tar.sink.close()
        except BrokenPipeError:
            pass  # tar gave up, and says why
        except FrameError as error:
            return DamagedError(f"the archive could not be unpacked: {error}")
        except RootError as error:
            return error
        return tar.end()


def _plain(chunks: Iterable[bytes], stream: Stream) -> Iterator[memoryview]:
    for chunk in chunks:
        yield from stream.feed(chunk)
    yield from stream.close()


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
        if client.is_passing(response.status):
            raise UnreachableError(f"the appliance answered: {client.reason(response)}")
        if response.status not in (200, 206):
            raise BrokenError(
                f"the appliance does not give the archive: {client.reason(response)}",
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


@dataclass(frozen=True)
class _Tar:
    """What `sink` gets is unpacked; `words` is what tar complains of."""

    sink: IO[bytes]
    process: subprocess.Popen[bytes]
    words: IO[bytes]

    def give(self, piece: memoryview) -> None:
        """The next bytes, all of them."""
        while piece:
            piece = piece[os.write(self.sink.fileno(), piece) :]

    def end(self) -> BrokenError | None:
        """Wait for its end; what it complained of."""
        code = self.process.wait()
        if not code:
            return None
        self.words.seek(0)
        text = last_line(self.words.read().decode("utf-8", "replace"))
        return BrokenError(f"tar could not unpack the archive: {text or f'it ended with {code}'}")


@contextmanager
def _tar(target: Path) -> Iterator[_Tar]:
    """Ended by force where the block ends before it."""
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            (*_TAR, f"--directory={target}"), stdin=subprocess.PIPE, stderr=words, bufsize=0
        )
        assert process.stdin is not None  # noqa: S101 - we asked for a pipe
        with suppress(OSError):  # only slower
            fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, _PIPE)
        try:
            yield _Tar(process.stdin, process, words)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdin.close()
