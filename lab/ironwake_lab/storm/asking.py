"""HTTP as a storm's machines speak it: one connection each, from the machine's own address."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from ironwake_lab.storm.machine import Answer, Fetch

_SILENCE = 30.0  # seconds without an octet: the agent's own patience
_KEPT = 1 << 16  # octets of a body that are kept; the rest is only counted
_HEAD = 1 << 14
_BULK = 1 << 20
_SCRATCH = bytearray(_BULK)  # what nobody reads


@dataclass(frozen=True)
class _Reply:
    status: int
    length: int | None
    rest: bytes


async def ask(fetch: Fetch, address: str) -> Answer:
    """The answer, status 0 where there was no whole one."""
    loop = asyncio.get_running_loop()
    place = urlsplit(fetch.url)
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.bind((address, 0))
        async with asyncio.timeout(_SILENCE) as patience:

            def heard() -> None:
                patience.reschedule(loop.time() + _SILENCE)

            await loop.sock_connect(sock, (place.hostname or "", place.port or 80))
            await loop.sock_sendall(sock, _request(fetch, place.netloc))
            reply = await _head(loop, sock)
            if reply is None:
                return Answer(fetch.number, 0)
            heard()
            size = 0 if fetch.method == "HEAD" else reply.length
            body, got = await _body(loop, sock, reply.rest, size, heard)
            whole = size is None or got >= size
            return Answer(fetch.number, reply.status if whole else 0, body, got)
    except (OSError, TimeoutError, ValueError):
        return Answer(fetch.number, 0)
    finally:
        sock.close()


def _request(fetch: Fetch, host: str) -> bytes:
    path = fetch.url.removeprefix("http://").removeprefix(host) or "/"
    lines = [f"{fetch.method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in fetch.headers]
    if fetch.most and fetch.method == "GET":
        lines.append(f"Range: bytes=0-{fetch.most - 1}")
    if fetch.body or fetch.method == "POST":
        lines.append(f"Content-Length: {len(fetch.body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + fetch.body


async def _head(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> _Reply | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = await loop.sock_recv(sock, _HEAD)
        if not piece or len(data) > _HEAD:
            return None
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    length = None
    for line in lines:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    status = int(first.split(b" ", 2)[1])
    return _Reply(status, 0 if status == 204 else length, rest)


async def _body(
    loop: asyncio.AbstractEventLoop,
    sock: socket.socket,
    kept: bytes,
    size: int | None,
    heard: Callable[[], None],
) -> tuple[bytes, int]:
    got = len(kept)
    while size is None or got < size:
        if got < _KEPT:
            piece = await loop.sock_recv(sock, _KEPT)
            kept += piece
            fresh = len(piece)
        else:
            fresh = await _discard(loop, sock)
        if not fresh:
            break
        got += fresh
        heard()
    return kept[:_KEPT], got


async def _discard(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> int:
    """Octets taken off the connection without being copied (tcp(7), MSG_TRUNC)."""
    with contextlib.suppress(BlockingIOError):
        return sock.recv_into(_SCRATCH, _BULK, socket.MSG_TRUNC)
    return await loop.sock_recv_into(sock, _SCRATCH)
