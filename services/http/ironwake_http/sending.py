"""Files to clients by sendfile(2): as much at once as the kernel takes, while there is headway."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ironwake.errors import BrokenError
from ironwake_http.ranges import Part
from ironwake_runtime import shortage
from ironwake_runtime.ports import set_stall
from ironwake_runtime.shortage import ShortageError

_TURN = 2 << 20  # bytes to one client, until the next one has its turn


@dataclass
class Sent:
    """How a transfer went: bytes wanted and sent (at least so many, if it broke), and seconds."""

    wanted: int
    size: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Job:
    """A reply that is a file's part. `file` is a descriptor of the job's own, and closed with it;
    what is meant begins at `offset` of it.

    `stretch` bytes must be taken in each `stall` seconds. `last`: the connection ends with it.
    `ended` is called once, in whatever thread the bytes were sent.
    """

    head: bytes
    file: int
    part: Part
    stretch: int
    stall: float
    last: bool
    ended: Callable[[Sent], None]
    offset: int = 0

    def drop(self) -> None:
        """It is over before it began."""
        os.close(self.file)
        self.ended(Sent(self.part.count))


class Transfer:
    """A job on its way to a non-blocking socket. `now` is monotonic, in seconds.

    `due`: when the next stretch must have been taken.
    """

    __slots__ = ("_at", "_began", "_head", "_left", "_mark", "_sock", "due", "job")

    def __init__(self, sock: socket.socket, job: Job, now: float) -> None:
        if job.last:  # GRUB's may stand still for less time
            with contextlib.suppress(OSError):  # it has left: the first push will tell
                set_stall(sock, job.stall)
        self.job = job
        self.due = now + job.stall
        self._sock = sock
        self._head = job.head
        self._at = job.offset + job.part.start
        self._left = self._mark = job.part.count
        self._began = now

    def push(self, now: float) -> bool:
        """Give the kernel what it takes now; whether that was the rest. OSError: it is broken."""
        try:
            if self._head and not self._push_head():
                return False
            if not self._left:  # an empty file
                return True
            size = min(_TURN, self._left)
            given = os.sendfile(self._sock.fileno(), self.job.file, self._at, size)
        except BlockingIOError:
            return False
        if not given:
            raise ConnectionResetError("the file ended before its time")
        self._at += given
        self._left -= given
        if self._mark - self._left >= self.job.stretch:
            self._mark, self.due = self._left, now + self.job.stall
        return not self._left

    def _push_head(self) -> bool:
        # It goes out with the first bytes, not before them (send(2), MSG_MORE).
        flags = socket.MSG_MORE if self._left else 0
        self._head = self._head[self._sock.send(self._head, flags) :]
        return not self._head

    def end(self, now: float) -> None:
        """It is over, well or not."""
        os.close(self.job.file)
        count = self.job.part.count
        self.job.ended(Sent(count, count - self._left, now - self._began))


def open_exactly(path: Path, size: int) -> int:
    """A descriptor of a regular file of just that size.

    BrokenError when there is no such file; ShortageError when no descriptor is free.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        if shortage.is_one(error):
            raise ShortageError from error
        raise BrokenError(
            f"an artifact cannot be read: {error.strerror}", "see: ironwake doctor", str(path)
        ) from error
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_size != size:
        os.close(file)
        raise BrokenError(
            f"an artifact has {found.st_size} bytes instead of {size}",
            "delete the file and add the media again",
            str(path),
        )
    return file
