"""Replies that boot firmware can read. What GRUB and shim demand, measured with Debian 13's:

- GRUB's own client knows `Content-Length` in exactly this spelling, and hangs without one: never
  chunked, never until-close.
- It ignores the status and *runs* the body of an error as its script: every error body is a
  comment. Right after an error's status line it loses one header: that must not be the length.
- shim's HTTP Boot hangs for good on a 404 with an empty body: no error body is empty.
- GRUB counts its source ports from 21550 at every boot: a connection left open from the boot before
  makes the next one fail, so its connections are closed after each reply.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

from aiohttp import web
from multidict import CIMultiDict

TEXT = "text/plain; charset=utf-8"
NOTHING = "there is nothing of this name"
_SHOWN = 600  # characters of an error that a machine's screen or an installer's log will show

_SERVER = "Ironwake"
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def closes(agent: str) -> bool:
    """Whether this user agent's connections must not outlive the reply."""
    return agent.startswith("GRUB")


def headers(media: str, length: int, more: Mapping[str, str] | None = None) -> CIMultiDict[str]:
    """Headers in our order and spelling: the server's name first, the length never."""
    return CIMultiDict(
        [
            ("Server", _SERVER),
            ("Content-Type", media),
            ("Content-Length", str(length)),
            *(more or {}).items(),
        ]
    )


def head(status: int, media: str, length: int, more: Mapping[str, str], last: bool) -> bytes:
    """The head of a reply whose body we send ourselves; `last`: the connection ends with it."""
    rest = "".join([f"{name}: {value}\r\n" for name, value in more.items()])
    end = "Connection: close\r\n" if last else ""
    return (
        f"HTTP/1.1 {status} {_PHRASES[status]}\r\nServer: {_SERVER}\r\nContent-Type: {media}\r\n"
        f"Content-Length: {length}\r\n{rest}Date: {_date(int(time.time()))}\r\n{end}\r\n"
    ).encode("latin-1")


@functools.lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def text(
    body: str,
    status: int = 200,
    media: str = TEXT,
    more: Mapping[str, str] | None = None,
) -> web.Response:
    """A text made for this request: never stored by anything on the way."""
    return raw(body.encode("utf-8", "replace"), media, status, more)


def raw(
    body: bytes, media: str, status: int = 200, more: Mapping[str, str] | None = None
) -> web.Response:
    """Bytes made for this request, likewise."""
    fields = headers(media, len(body), {"Cache-Control": "no-store", **(more or {})})
    return web.Response(status=status, body=body, headers=fields)


def refusal(status: int, why: str, more: Mapping[str, str] | None = None) -> web.Response:
    """An error whose body is one comment line, to GRUB, to shells and to installers alike."""
    line = "".join(letter if letter.isprintable() else " " for letter in why[:_SHOWN])
    return text(f"# {line}\n", status, more=more)


class Given(web.StreamResponse):
    """A reply that has left already; `last`: its connection ends."""

    def __init__(self, status: int, last: bool) -> None:
        super().__init__(status=status)
        self._last = last

    @property
    def keep_alive(self) -> bool:
        return not self._last

    @property
    def prepared(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> None:  # noqa: ARG002 (aiohttp's signature)
        return None

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 (aiohttp's signature)
        return None


def done() -> web.Response:
    """204: committed, nothing to say."""
    return web.Response(status=204, headers={"Server": _SERVER, "Cache-Control": "no-store"})
