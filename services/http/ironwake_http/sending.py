"""Files to clients by sendfile(2), in stretches, so that a client that stands still is let go."""

from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from aiohttp import web
from multidict import CIMultiDict

from ironwake.errors import BrokenError
from ironwake_http.ranges import Part


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
    try:
        await reply.prepare(request)
        while sent.size < part.count:
            size = min(stretch, part.count - sent.size)
            async with asyncio.timeout(stall):
                await _stretch(request, file, part.start + sent.size, size)
            sent.size += size
        await reply.write_eof()
    except (OSError, TimeoutError):
        sent.size = max(sent.size, min(part.count, file.tell() - part.start))
        if request.transport is not None:
            request.transport.abort()
    sent.seconds = loop.time() - start
    return sent


async def _stretch(request: web.BaseRequest, file: FileIO, offset: int, size: int) -> None:
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has left")
    loop = asyncio.get_running_loop()
    if await loop.sendfile(transport, file, offset, size) < size:
        raise ConnectionResetError("the file ended before its time")


def file_reply(part: Part, size: int, fields: CIMultiDict[str]) -> web.StreamResponse:
    """The reply's head: status, and where in the file the part is."""
    if part.status == 206:
        last = part.start + part.count - 1
        fields["Content-Range"] = f"bytes {part.start}-{last}/{size}"
    return web.StreamResponse(status=part.status, headers=fields)
