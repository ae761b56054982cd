"""Plain bytes out of gz, xz and zst, in small pieces, and no more than their packing allows."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import zstandard

from ironwake.rootfs.member import RootError
from ironwake.rootfs.rules import Limits
from ironwake.sizes import size_text

CHUNK = 1 << 18
MAGIC = {b"\x1f\x8b": "gz", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zst"}
_WINDOW = 1 << 27  # what zstd itself unpacks without being asked to
_MEMORY = 256 << 20  # xz -9 needs 65 MiB
_DAMAGED = "make the archive anew, or fetch it again"


def packing(head: bytes) -> str:
    """`gz`, `xz`, `zst`, or "" for what is not packed."""
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), "")


def plain(stream: BinaryIO, limits: Limits) -> Iterator[bytes]:
    """The stream's plain bytes; RootError for a bomb, a damaged stream and a cut off one."""
    head = stream.read(6)
    stream.seek(-len(head), 1)
    start = stream.tell()
    pieces = _WAYS[packing(head)](stream)
    told = 0
    try:
        for piece in pieces:
            told += len(piece)
            packed = stream.tell() - start
            if told > limits.free + limits.ratio * packed:
                raise RootError(
                    f"the archive is a bomb: {size_text(packed)} of it are more than"
                    f" {size_text(told)} unpacked",
                    "a ratio that is meant is allowed by IRONWAKE_IMAGE_RATIO",
                )
            yield piece
    except (zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
        raise RootError(f"the archive is damaged: {error}", _DAMAGED) from None


def _as_it_is(stream: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: stream.read(CHUNK), b"")


def _gz(stream: BinaryIO) -> Iterator[bytes]:
    machine = zlib.decompressobj(31)
    data = b""
    begun = False
    while True:
        data = data or stream.read(CHUNK)
        if not data:
            break
        begun = True
        piece = machine.decompress(data, CHUNK)
        data = machine.unconsumed_tail
        if piece:
            yield piece
        if machine.eof:  # there may be another one behind it, or padding
            data = (machine.unused_data or stream.read(CHUNK)).lstrip(b"\0")
            machine, begun = zlib.decompressobj(31), False
    while begun and (piece := machine.decompress(b"", CHUNK)):
        yield piece
    if begun and not machine.eof:
        raise RootError("the archive is cut off: gzip has no end", _DAMAGED)


def _xz(stream: BinaryIO) -> Iterator[bytes]:
    machine = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
    data = b""
    while True:
        if machine.eof:
            data = (machine.unused_data or stream.read(CHUNK)).lstrip(b"\0")
            if not data:
                return
            machine = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
        elif machine.needs_input:
            data = stream.read(CHUNK)
            if not data:
                raise RootError("the archive is cut off: xz has no end", _DAMAGED)
        piece = machine.decompress(data, CHUNK)
        data = b""
        if piece:
            yield piece


def _zst(stream: BinaryIO) -> Iterator[bytes]:
    # Its end is not checked by the library: a tar's own end is.
    machine = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    with machine.stream_reader(
        stream, read_size=CHUNK, read_across_frames=True, closefd=False
    ) as reader:
        yield from iter(lambda: reader.read(CHUNK), b"")


_WAYS: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    "": _as_it_is,
    "gz": _gz,
    "xz": _xz,
    "zst": _zst,
}
