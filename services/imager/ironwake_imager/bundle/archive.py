"""A bundle's bytes: a tar in zstd, whose headers follow from its first file.

The tar is read by no parser: each header must be, to the last octet, the one that we write for the
file that `bundle.json` names next. So there is nothing to be clever with: no link, no other path,
no owner, no size that differs. What is unpacked is bounded by the packed bytes, too.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from ironwake.bundle import NAME, Bundle, BundleError, Entry
from ironwake.errors import BrokenError
from ironwake.rootfs.member import RootError
from ironwake.rootfs.rules import Limits
from ironwake_imager.roots.unpacking import CHUNK, packing, plain
from ironwake_runtime import durable

BLOCK = 512
_LEVEL = 3  # most of it is packed already
_LARGEST_TEXT = 256 << 20  # of bundle.json
_END = bytes(2 * BLOCK)
# Packages' lists are texts; artifacts are packed. No honest bundle comes near.
_LIMITS = Limits(ratio=200)
Told = Callable[[int, int], None]


class Sink(Protocol):
    """Where the files of a bundle go as they are read."""

    def wants(self, entry: Entry) -> bool:
        """Whether its bytes are still needed; they are verified only then."""

    def take(self, entry: Entry, pieces: Iterator[bytes]) -> None:
        """Its bytes, to the end; what is raised in between means that they are wrong."""


def header(path: str, size: int) -> bytes:
    """The blocks before a file's bytes: nobody's, of no time."""
    info = tarfile.TarInfo(path)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def write(target: Path, bundle: Bundle, files: Mapping[str, Path], told: Told) -> None:
    """Pack it: whole, or not at all.

    :param files: path in the bundle → where its bytes are
    :raises BrokenError: a file is another one than when it was looked at
    """
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, threads=-1, write_checksum=True
    )
    text = bundle.to_json()
    with durable.whole(target) as stream:
        packer = zstandard.ZstdCompressor(compression_params=parameters)
        with packer.stream_writer(stream, closefd=False) as out:
            out.write(header(NAME, len(text)) + text + _padding(len(text)))
            done = 0
            for entry in bundle.entries:
                out.write(header(entry.path, entry.size))
                for piece in _checked(entry, _pieces(files[entry.path])):
                    out.write(piece)
                    done += len(piece)
                    told(done, bundle.size)
                out.write(_padding(entry.size))
            out.write(_END)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from iter(lambda: stream.read(CHUNK), b"")


def _checked(entry: Entry, pieces: Iterator[bytes]) -> Iterator[bytes]:
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
        yield piece
    if (digest.hexdigest(), size) != (entry.sha256, entry.size):
        raise BrokenError(
            f"the bytes of {entry.path} are not those that were meant", "run it again"
        )


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)


class Reader:
    """One bundle, front to back. `bundle` is known once it is made; `read` gives the rest.

    :raises BundleError: it is not as it says, damaged, or cut off
    """

    def __init__(self, stream: BinaryIO) -> None:
        if packing(stream.read(6)) != "zst":
            raise BundleError("this is no bundle", "name a file that bundle export has written")
        stream.seek(0)
        self._plain = plain(stream, _LIMITS)
        self._rest = b""
        first = self._take(BLOCK)
        size = _size(first)
        if first != header(NAME, size):
            raise BundleError("this is no bundle", "name a file that bundle export has written")
        if size > _LARGEST_TEXT:
            raise BundleError(f"{NAME} has {size} bytes, more than it may")
        self.text = self._take(size)
        self._pass(-size % BLOCK)
        self.bundle = Bundle.from_json(self.text)

    def read(self, sink: Sink, told: Told) -> None:
        """Hand out every file that is wanted, each verified by the time that its bytes end."""
        done = 0
        for entry in self.bundle.entries:
            wanted = header(entry.path, entry.size)
            if self._take(len(wanted)) != wanted:
                raise BundleError(f"what stands in the place of {entry.path} is something else")
            pieces = self._stretch(entry.size)
            if sink.wants(entry):
                sink.take(entry, self._verified(entry, pieces))
            for _ in pieces:
                pass
            self._pass(-entry.size % BLOCK)
            done += entry.size
            told(done, self.bundle.size)
        if self._take(len(_END)) != _END or self._more():
            raise BundleError("there is something behind its end")

    def _verified(self, entry: Entry, pieces: Iterator[bytes]) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(piece)
            yield piece
        if digest.hexdigest() != entry.sha256:
            raise BundleError(f"{entry.path} is damaged: its SHA-256 is another one")

    def _more(self) -> bool:
        while not self._rest.strip(b"\0"):
            self._rest = self._next()
            if not self._rest:
                return False
        return True

    def _pass(self, count: int) -> None:
        if self._take(count).strip(b"\0"):
            raise BundleError("there is something between its files")

    def _take(self, count: int) -> bytes:
        return b"".join(self._stretch(count))

    def _next(self) -> bytes:
        try:
            return next(self._plain, b"")
        except RootError as error:
            raise BundleError(error.what) from None

    def _stretch(self, count: int) -> Iterator[bytes]:
        while count:
            if not self._rest:
                self._rest = self._next()
                if not self._rest:
                    raise BundleError("it is cut off")
            piece, self._rest = self._rest[:count], self._rest[count:]
            count -= len(piece)
            yield piece


def _size(block: bytes) -> int:
    try:
        return int(block[124:136].rstrip(b"\0 "), 8)
    except ValueError:
        return 0
