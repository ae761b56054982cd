"""A disk, or a file in its place: read and written past the kernel's cache where that is possible.

What is read again to be verified must come from the disk, not from memory; and a disk that is
written once has no use for a copy of it there.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from ironwake.errors import BrokenError

_BLKSSZGET = 0x1268
_BLKPG = 0x1269
_BLKPG_ADD, _BLKPG_DELETE = 1, 2
_KEEP_SIZE, _PUNCH_HOLE, _ZERO_RANGE = 1, 2, 16  # linux/falloc.h
_CANNOT = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV)
_ZEROES = 1 << 20
_PARTITION = struct.Struct("<qqi64s64s4x")  # linux/blkpg.h: start, length, number, two names


def room(size: int) -> memoryview:
    """Memory that a disk can be read into, and written from, directly: it begins with a page."""
    return memoryview(mmap.mmap(-1, size))


class Device:
    """A disk that is ours alone.

    :ivar size: in bytes
    :ivar sector: the unit in which it can be read and written, in bytes
    """

    def __init__(self, path: str, descriptor: int, *, block: bool) -> None:
        self.path = path
        self._fd = descriptor
        self._block = block
        self.size = os.lseek(descriptor, 0, os.SEEK_END)
        self.sector = _sector(descriptor) if block else 512

    def read(self, offset: int, into: memoryview) -> None:
        """Fill the room; BrokenError where the disk can't give it all.

        :param into: made by `room`; it and the offset are whole sectors
        """
        if not len(into):
            return
        try:
            count = os.preadv(self._fd, [into], offset)
        except OSError as error:
            raise self._failed("read", offset, error) from None
        if count != len(into):
            raise BrokenError(f"disk {self.path} ends at byte {offset + count}", "replace it")

    def write(self, offset: int, content: memoryview) -> None:
        """Write; BrokenError where the disk does not take it."""
        while len(content):
            try:
                count = os.pwritev(self._fd, [content], offset)
            except OSError as error:
                raise self._failed("write", offset, error) from None
            offset, content = offset + count, content[count:]

    def discard(self, offset: int, length: int) -> bool:
        """Make it read as zeroes without writing them; False, and nothing done, where the disk
        can't."""
        try:
            _fallocate(self._fd, _PUNCH_HOLE | _KEEP_SIZE, offset, length)
        except OSError as error:
            if error.errno in _CANNOT:
                return False
            raise self._failed("write", offset, error) from None
        return True

    def zero(self, offset: int, length: int) -> None:
        """Make it read as zeroes: by discard where the disk promises that, else by writing."""
        if not length or self.discard(offset, length):
            return
        try:
            _fallocate(self._fd, _ZERO_RANGE | _KEEP_SIZE, offset, length)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise self._failed("write", offset, error) from None
        else:
            return
        nothing = room(_ZEROES)
        for start in range(offset, offset + length, _ZEROES):
            self.write(start, nothing[: min(_ZEROES, offset + length - start)])

    def sync(self) -> None:
        """Return when all is on the disk; BrokenError where it did not get there."""
        try:
            os.fsync(self._fd)
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise self._failed("write", 0, error) from None

    def add_partition(self, number: int, start: int, size: int) -> None:
        """Show a partition to the kernel that no table on the disk has; bytes."""
        try:
            self._partition(_BLKPG_ADD, number, start, size)
        except OSError as error:
            raise BrokenError(
                f"the kernel takes no partition {number} of {self.path}: {error.strerror}",
                "reset the machine and deploy again",
            ) from None

    def remove_partition(self, number: int) -> None:
        """Hide it again; nothing happens where there is none."""
        try:
            self._partition(_BLKPG_DELETE, number, 0, 0)
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.EINVAL):
                raise BrokenError(
                    f"partition {number} of {self.path} is in use: {error.strerror}",
                    "reset the machine and deploy again",
                ) from None

    def _partition(self, operation: int, number: int, start: int, size: int) -> None:
        row = ctypes.create_string_buffer(_PARTITION.pack(start, size, number, b"", b""))
        argument = struct.pack("@iiiP", operation, 0, _PARTITION.size, ctypes.addressof(row))
        fcntl.ioctl(self._fd, _BLKPG, argument)

    def _failed(self, what: str, offset: int, error: OSError) -> BrokenError:
        return BrokenError(
            f"disk {self.path} cannot be {'written' if what == 'write' else 'read'} at byte"
            f" {offset}: {error.strerror}",
            "replace the disk",
        )


@contextmanager
def opened(path: str, *, alone: bool = True) -> Iterator[Device]:
    """The disk; BrokenError where it can't be had, or, `alone`, where somebody else has it."""
    block = stat.S_ISBLK(Path(path).stat().st_mode)
    flags = os.O_RDWR | (os.O_DIRECT if block else 0) | (os.O_EXCL if block and alone else 0)
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC)
    except OSError as error:
        raise BrokenError(f"disk {path} cannot be opened: {error.strerror}") from None
    try:
        yield Device(path, descriptor, block=block)
    finally:
        os.close(descriptor)


def _sector(descriptor: int) -> int:
    answer = fcntl.ioctl(descriptor, _BLKSSZGET, bytes(4))
    return int(struct.unpack("@i", answer)[0])


@cache
def _libc() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return library


def _fallocate(descriptor: int, mode: int, offset: int, length: int) -> None:
    if _libc().fallocate(descriptor, mode, offset, length):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
