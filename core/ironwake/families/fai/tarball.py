"""A tar.gz of text files, always the same bytes for the same files: no clock, no owners."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Final

from ironwake.errors import InputError
from ironwake.firstboot import File
from ironwake.rootfs import writer
from ironwake.rootfs.header import BLOCK
from ironwake.rootfs.member import Kind, Member

_GZIP: Final = 31  # zlib's word for gzip with the largest window; its header has no time (RFC 1952)
_LARGEST: Final = 64 << 20
_MODE: Final = slice(100, 108)


def pack(files: Iterable[File]) -> bytes:
    """The archive, with the folders of its files before them."""
    rows = sorted(files, key=lambda file: file.path)
    pieces = []
    for folder in sorted({folder for row in rows for folder in _above(row.path)}):
        pieces.append(writer.head(Member(folder, Kind.DIRECTORY, 0o755, 0, 0, 0)))
    for row in rows:
        data = row.text.encode()
        member = Member(row.path, Kind.FILE, row.mode, 0, 0, 0, len(data), len(data))
        pieces += [writer.head(member), data, writer.padding(member)]
    packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP)
    return packer.compress(b"".join((*pieces, writer.END))) + packer.flush()


def unpack(packed: bytes) -> Mapping[str, File]:
    """The files of an archive of ours, by path; InputError for any other."""
    try:
        unpacker = zlib.decompressobj(_GZIP)
        raw = unpacker.decompress(packed, _LARGEST)
        if not unpacker.eof:
            raise InputError("the archive is cut off, or too large", "make it anew")
        return {file.path: file for file in _files(raw)}
    except (zlib.error, UnicodeError, ValueError):
        raise InputError("this is no tar.gz of texts", "make it anew") from None


def _files(raw: bytes) -> Iterable[File]:
    at = 0
    while raw[at : at + BLOCK].strip(b"\0"):
        head = raw[at : at + BLOCK]
        size = int(head[124:135], 8)
        path = head[:100].rstrip(b"\0").decode().removeprefix("./")
        if head[156:157] == b"0":
            text = raw[at + BLOCK : at + BLOCK + size].decode()
            yield File(path, int(head[_MODE].rstrip(b"\0"), 8), text)
        elif head[156:157] != b"5":
            raise ValueError(path)
        at += BLOCK + size + -size % BLOCK


def _above(path: str) -> Iterable[str]:
    parts = path.split("/")[:-1]
    return ("/".join(parts[: count + 1]) for count in range(len(parts)))
