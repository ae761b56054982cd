"""A mirror on loopback that counts what is asked of it, and can go away."""

from __future__ import annotations

import contextlib
import hashlib
import re
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

MODIFIED = "Sun, 01 Nov 2026 00:00:00 GMT"


@dataclass
class Mirror:
    """`files`: path → bytes; `redirects`: path → Location; `types`: path → Content-Type. What was
    asked is counted.

    :ivar gets: requests that were answered with bytes, by path
    :ivar sent: bytes of those answers, by path
    :ivar asked: (method, path, headers) of every request
    :ivar before: called before a body is sent, with its path
    """

    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    gets: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0
    _server: _Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, context: ssl.SSLContext | None = None) -> None:
        """On the same port as before, if there was one."""
        server = _Server(("127.0.0.1", self.port), _handler(self))
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        self.port = server.server_address[1]
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """It is away: its port refuses, and its connections end."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            for connection in self._server.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(2)
        self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *words: Any) -> None:
        self.connections: list[Any] = []
        super().__init__(*words)

    def get_request(self) -> Any:
        found = super().get_request()
        self.connections.append(found[0])
        return found

    def handle_error(self, *_: Any) -> None:
        """A client that left is no news."""


def _handler(mirror: Mirror) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(self.path)
            with mirror.lock:
                mirror.asked.append((self.command, path, dict(self.headers)))
            if path in mirror.redirects:
                self._answer(302, b"", Location=mirror.redirects[path])
                return
            body = mirror.files.get(path)
            if body is None:
                self._answer(404, b"no such file")
                return
            tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            if self.headers.get("If-None-Match") == tag:
                self._answer(304, b"", ETag=tag)
                return
            status, more = 200, {}
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if wanted:
                first = int(wanted[1])
                last = min(int(wanted[2] or len(body)), len(body) - 1)
                more = {"Content-Range": f"bytes {first}-{last}/{len(body)}"}
                status, body = 206, body[first : last + 1]
            with mirror.lock:
                mirror.gets[path] += 1
                mirror.sent[path] += len(body)
            mirror.before(path)
            if path in mirror.types:
                more["Content-Type"] = mirror.types[path]
            # As some mirrors say it: nobody shall keep it.
            self._answer(status, body, ETag=tag, **{"Cache-Control": "no-store", **more})

        do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 (the library's names)

        def _answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Last-Modified": MODIFIED, **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Tests look at the counters."""

    return Handler


@contextlib.contextmanager
def mirror(**options: Any) -> Iterator[Mirror]:
    """One that runs."""
    there = Mirror(**options)
    there.start()
    try:
        yield there
    finally:
        there.stop()
