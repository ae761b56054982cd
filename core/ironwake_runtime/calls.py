"""HTTP/1.1 to one server over kept connections: as much of it as our services say to each other.

A general client takes about 1.5 ms of processor time for a call, more than the controller needs to
commit what it says; this one a tenth of that. While hundreds of machines report, it is the
difference between a service that is busy and one that is not.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from ironwake.errors import InputError

_MOST = 64  # connections; more calls at once wait for one
_IDLE = 15.0  # seconds after which the server may be about to end a connection (uvicorn: 30)
_LONGEST_BODY = 1 << 28  # octets; a view of very many machines is some megabytes
_NO_BODY = (204, 304)


class CallError(OSError):
    """The server said something that is not HTTP, or too much."""


@dataclass(frozen=True)
class Reply:
    """`body` is whole; of the headers, none is of use to the callers."""

    status: int
    body: bytes


@dataclass
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    since: float  # when it was last used, by the loop's clock

    @property
    def gone(self) -> bool:
        return self.reader.at_eof() or self.writer.is_closing()


class Calls:
    """Calls to `url`, each over in `seconds`. Nothing is sent twice: who calls decides on that."""

    def __init__(self, url: str, seconds: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"{url!r:.100} is not a URL of HTTP", "", "IRONWAKE_CONTROLLER_URL")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host = parts.hostname
        self._port = parts.port or (443 if self._tls else 80)
        self._authority = parts.netloc.rpartition("@")[2]
        self._path = parts.path.rstrip("/")
        self._seconds = seconds
        self._free: list[_Connection] = []
        self._room = asyncio.Semaphore(_MOST)

    async def call(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> Reply:
        """The reply, whatever its status. OSError (TimeoutError among them) where there is none."""
        fields = {"Host": self._authority, **headers}
        if body is not None:
            fields["Content-Length"] = str(len(body))
        lines = [f"{method} {self._path}{path} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items())]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")
        async with self._room, asyncio.timeout(self._seconds):
            return await self._exchange(request)

    async def close(self) -> None:
        """End all connections."""
        for one in self._free:
            one.writer.close()
        self._free.clear()

    async def _exchange(self, request: bytes) -> Reply:
        one = await self._connection()
        kept = False
        try:
            one.writer.write(request)
            await one.writer.drain()
            reply, kept = await _reply(one.reader)
        except asyncio.IncompleteReadError as error:
            raise CallError("the connection ended before the reply") from error
        except asyncio.LimitOverrunError as error:
            raise CallError("the reply's head is too long") from error
        finally:
            if kept:
                one.since = asyncio.get_running_loop().time()
                self._free.append(one)
            else:  # or cancelled in the middle of it
                one.writer.close()
        return reply

    async def _connection(self) -> _Connection:
        now = asyncio.get_running_loop().time()
        while self._free:
            one = self._free.pop()
            if not one.gone and now - one.since < _IDLE:
                return one
            one.writer.close()
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        return _Connection(reader, writer, now)


async def _reply(reader: asyncio.StreamReader) -> tuple[Reply, bool]:
    """The reply, and whether the connection may be used again (RFC 9112 sections 6.3 and 9.3)."""
    head = await reader.readuntil(b"\r\n\r\n")
    line, *rest = head[:-4].decode("latin-1").split("\r\n")
    version, _, after = line.partition(" ")
    status = after[:3]
    if version not in ("HTTP/1.1", "HTTP/1.0") or not status.isdecimal():
        raise CallError(f"the reply begins with {line[:60]!r}")
    fields = {
        name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rest)
    }
    kept = version == "HTTP/1.1" and fields.get("connection", "").lower() != "close"
    if int(status) in _NO_BODY:
        return Reply(int(status), b""), kept
    if fields.get("transfer-encoding", "").lower() == "chunked":
        return Reply(int(status), await _chunks(reader)), kept
    length = fields.get("content-length")
    if length is None:
        return Reply(int(status), await _rest(reader)), False
    return Reply(int(status), await reader.readexactly(_size(length, 10))), kept


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """RFC 9112 section 7.1; extensions and trailers are left out."""
    body = bytearray()
    while size := _size((await reader.readuntil(b"\r\n")).partition(b";")[0].decode("latin-1"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
        _size(str(len(body)), 10)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return bytes(body)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    body = await reader.read(_LONGEST_BODY + 1)
    while piece := await reader.read(_LONGEST_BODY + 1):
        body += piece
        _size(str(len(body)), 10)
    return body


def _size(text: str, base: int) -> int:
    try:
        size = int(text, base)
    except ValueError:
        raise CallError(f"{text[:40]!r} is not a length") from None
    if not 0 <= size <= _LONGEST_BODY:
        raise CallError(f"the reply is of {size} bytes")
    return size
