"""Calls to one server over kept connections: aiohttp's, bound to what our services say.

A protocol of our own cost 50 to 100 µs less for a call, a tenth of what the controller needs for it
(docs/benchmarks.md): nothing to keep an HTTP client for.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from ironwake.errors import InputError
from ironwake_runtime.reply import Reply

_MOST = 64  # connections; more calls at once wait for one
_IDLE = 5.0  # seconds that an unused connection is kept; uvicorn ends it after 30
_LONGEST_BODY = 1 << 28  # octets; a view of very many machines is some megabytes
# No caller looks at types or encodings, and each field costs both sides.
_NOT_SENT = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class CallError(OSError):
    """There is no reply, or one that is not HTTP, or too much of it."""


class Calls:
    """Calls to `url`, each over in `seconds`; a reply has at most `longest` bytes.

    Connections that nobody uses are kept for `idle` seconds, to twice as long.

    No claim and no report is sent twice: who calls decides on that. aiohttp sends a GET again
    where a kept connection turns out to have ended; ours are questions for the view.
    """

    def __init__(
        self, url: str, seconds: float, idle: float = _IDLE, longest: int = _LONGEST_BODY
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"{url!r:.100} is not a URL of HTTP", "", "IRONWAKE_CONTROLLER_URL")
        self._base = url.rstrip("/")
        self._seconds = seconds
        self._idle = idle
        self._longest = longest
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> Reply:
        """The reply, whatever its status. OSError (TimeoutError among them) where there is none."""
        session = self._session = self._session or self._open()
        url = URL(self._base + path, encoded=True)
        try:
            async with session.request(
                method, url, headers=headers, data=body, allow_redirects=False
            ) as reply:
                return Reply(reply.status, await _body(reply, self._longest))
        except aiohttp.ClientError as error:
            raise CallError(_words(error)) from error

    async def close(self) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_MOST, keepalive_timeout=self._idle),
            timeout=aiohttp.ClientTimeout(total=self._seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_NOT_SENT,
            auto_decompress=False,
        )


async def _body(reply: aiohttp.ClientResponse, longest: int) -> bytes:
    if (reply.content_length or 0) > longest:
        raise CallError(f"the reply is of {reply.content_length} bytes")
    body = bytearray()
    async for piece in reply.content.iter_any():
        body += piece
        if len(body) > longest:
            raise CallError(f"the reply is of more than {longest} bytes")
    return bytes(body)


def _words(error: aiohttp.ClientError) -> str:
    match error:
        case aiohttp.ClientOSError() if error.errno:
            return os.strerror(error.errno).lower()
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "the connection ended before the reply"
        case aiohttp.ClientResponseError():
            return f"the reply is not HTTP: {error.message[:100]!r}"
    return str(error)
