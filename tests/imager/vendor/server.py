"""A web server on loopback that serves a folder's worth of files, with ranges, and drops lines."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """`files` by their paths. `cuts`: after how many bytes the next replies end; then never.

    `moved`: paths that lead to another URL. `statuses`: of paths that are answered with one.
    `asked`: path, Range and If-Range of each request.
    """

    files: dict[str, bytes]
    cuts: list[int] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/iso/"

    def reply(self, call: BaseHTTPRequestHandler) -> None:
        fields = call.headers
        path = call.path.removeprefix("/iso/")
        self.asked.append((path, fields.get("Range", ""), fields.get("If-Range", "")))
        if path in self.moved:
            _begin(call, 302, {"Location": self.moved[path], "Content-Length": "0"})
            return
        data = self.files.get(path)
        status = 404 if data is None else self.statuses.get(path)
        if data is None or status:
            _begin(call, status or 404, {"Content-Length": "0"})
            return
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        start = int(fields.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if fields.get("If-Range", tag) != tag:
            start = 0
        if start and start >= len(data):
            _begin(call, 416, {"Content-Length": "0"})
            return
        head = {"ETag": tag, "Content-Length": str(len(data) - start)}
        if start:
            head["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        _begin(call, 206 if start else 200, head)
        large = len(data) > 10_000  # lists come whole
        cut = self.cuts.pop(0) if self.cuts and large else len(data)
        call.wfile.write(data[start : start + cut])
        call.close_connection = True


def _begin(call: BaseHTTPRequestHandler, status: int, fields: Mapping[str, str]) -> None:
    call.send_response(status)
    for name, value in fields.items():
        call.send_header(name, value)
    call.end_headers()


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Server]:
    server = Server(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.reply(self)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
