"""Files to clients by sendfile(2), in stretches, so that a client that stands still is let go."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from aiohttp import web
from multidict import CIMultiDict

from ironwake.errors import BrokenError
from ironwake_http.ranges import Part

_LONGEST = 16 << 20  # bytes of a stretch
_SLOWER = 8  # times, that a client may become within a stretch


@dataclass
class Sent:
    """How a transfer went: bytes wanted and sent (at least so many, if it broke), and seconds."""

    wanted: int
    size: int = 0
    seconds: float = 0.0


def open_exactly(path: Path, size: int) -> FileIO:
    """A regular file of just that size; BrokenError when the store does not have it."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise BrokenError(
            f"an artifact cannot be read: {error.strerror}", "see: ironwake doctor", str(path)
        ) from error
    file = FileIO(number)
    found = os.fstat(number)
    if not stat.S_ISREG(found.st_mode) or found.st_size != size:
        file.close()
        raise BrokenError(
            f"an artifact has {found.st_size} bytes instead of {size}",
            "delete the file and add the media again",
            str(path),
        )
    return file


async def send(
    request: web.BaseRequest,
    reply: web.StreamResponse,
    file: FileIO,
    part: Part,
    stretch: int,
    stall: float,
) -> Sent:
    """Send headers and the part; a client that leaves or stands still is no error, only `Sent`."""
    loop = asyncio.get_running_loop()
    start, sent = loop.time(), Sent(part.count)
    least, began = stretch, start
    try:
        _cork(request, 1)  # the head goes out with the first bytes, not before them
        await reply.prepare(request)
        while sent.size < part.count:
            size = min(stretch, part.count - sent.size)
            async with asyncio.timeout(stall):
                await _stretch(request, file, part.start + sent.size, size)
            sent.size += size
            ended = loop.time()
            stretch, began = next_stretch(size, ended - began, least, stall), ended
        await reply.write_eof()
        _cork(request, 0)
    except (OSError, TimeoutError):
        sent.size = max(sent.size, min(part.count, file.tell() - part.start))
        if request.transport is not None:
            request.transport.abort()
    sent.seconds = loop.time() - start
    return sent


def next_stretch(size: int, seconds: float, least: int, stall: float) -> int:
    """How many bytes to give to the kernel at once, when `size` of them took so long.

    Each stretch costs processor time, so a fast client gets long ones; but every one must be
    through within the stall, also by a client that has become many times slower.
    """
    if seconds <= 0:
        return _LONGEST
    return max(least, int(min(_LONGEST, size / seconds * stall / _SLOWER)))


def _cork(request: web.BaseRequest, on: int) -> None:
    """Have the kernel send full segments only, or all that there is (tcp(7), TCP_CORK)."""
    sock = request.transport.get_extra_info("socket") if request.transport else None
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)


async def _stretch(request: web.BaseRequest, file: FileIO, offset: int, size: int) -> None:
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has left")
    # What the kernel takes at once needs no loop: of a small range, that is all of it.
    done = _at_once(transport, file, offset, size)
    if done == size:
        return
    loop = asyncio.get_running_loop()
    if done + await loop.sendfile(transport, file, offset + done, size - done) < size:
        raise ConnectionResetError("the file ended before its time")


def _at_once(transport: asyncio.Transport, file: FileIO, offset: int, size: int) -> int:
    """How many bytes the kernel has taken without waiting; 0 where it is not its turn yet."""
    sock = transport.get_extra_info("socket")
    if sock is None or transport.get_write_buffer_size():
        return 0  # the head must leave before
    try:
        return os.sendfile(sock.fileno(), file.fileno(), offset, size)
    except BlockingIOError:
        return 0


def file_reply(part: Part, size: int, fields: CIMultiDict[str]) -> web.StreamResponse:
    """The reply's head: status, and where in the file the part is."""
    if part.status == 206:
        last = part.start + part.count - 1
        fields["Content-Range"] = f"bytes {part.start}-{last}/{size}"
    return web.StreamResponse(status=part.status, headers=fields)
