"""Writes initramfs archives: cpio "newc", reproducible, without needing to be root.

Format: Documentation/driver-api/early-userspace/buffer-format.rst of the Linux sources. The kernel
takes several archives one after the other, each compressed or not; later files replace earlier.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_MAGIC = b"070701"
# The kernel wants an uncompressed archive to begin at a multiple of 4 and skips zeros before it.
_ALIGN = 4


class CpioWriter:
    """Writes entries in the order of the calls; parents must come before their children."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._inode = 0

    def directory(self, name: str) -> None:
        """Add a folder of mode 0755; `name` is relative to the root, without a leading slash."""
        self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Add a regular file."""
        self._entry(name, stat.S_IFREG | mode, data)

    def symlink(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, name: str, major: int, minor: int) -> None:
        """Add a character device of mode 0600."""
        self._entry(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def tree(self, root: Path) -> None:
        """Add everything below a folder, sorted; owners and times are not taken over."""
        for path in _walk(root):
            name = path.relative_to(root).as_posix()
            if path.is_symlink():
                self.symlink(name, str(path.readlink()))
            elif path.is_dir():
                self.directory(name)
            else:
                executable = path.stat().st_mode & 0o111
                self.file(name, path.read_bytes(), 0o755 if executable else 0o644)

    def close(self) -> None:
        """Write the trailer; the stream stays open."""
        self._inode = -1  # the trailer has inode 0
        self._entry("TRAILER!!!", 0)

    def _entry(
        self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)
    ) -> None:
        self._inode += 1
        links = 2 if stat.S_ISDIR(mode) else 1
        encoded = name.encode() + b"\0"
        # ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
        fields = (self._inode, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(encoded), 0)
        header = _MAGIC + b"".join(b"%08X" % value for value in fields) + encoded
        self._stream.write(header + padding(len(header)))
        self._stream.write(data + padding(len(data)))


def padding(length: int) -> bytes:
    """Give the zeros that bring a length to a multiple of 4."""
    return bytes(-length % _ALIGN)


def _walk(root: Path) -> Iterator[Path]:
    for path in sorted(root.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
