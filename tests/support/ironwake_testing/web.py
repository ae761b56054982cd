"""A web server to hold: what it is asked, and what it answers. BMCs and power switches are such."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from ironwake_testing.bmc import Certificate

ELSEWHERE = "http://127.0.0.1:1/elsewhere"


class Asked(NamedTuple):
    """One request; names of headers in lower case."""

    method: str
    path: str
    body: str
    headers: dict[str, str]


@dataclass
class Web:
    """`pages` are JSON documents by their path; `moved` has where a path is said to be.

    Every other path gets `status` and `body`; a redirection leads elsewhere.
    """

    url: str
    pages: dict[str, Any] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    status: int = 404
    body: bytes = b"{}"
    asked: list[Asked] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, location and body for this path."""
        if path in self.moved:
            return 307, self.moved[path], b"{}"
        if path in self.pages:
            return 200, "", json.dumps(self.pages[path]).encode()
        return self.status, ELSEWHERE if 300 <= self.status < 400 else "", self.body


@contextmanager
def web(certificate: Certificate | None = None) -> Iterator[Web]:
    """A server on a free port until the block ends; with a certificate, by TLS."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length).decode()
            made.asked.append(Asked(self.command, self.path, body, headers))
            status, location, answer = made.answer(self.path)
            self.send_response(status)
            if location:
                self.send_header("location", location)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        scheme = "http"
        if certificate:
            server.socket = certificate.context().wrap_socket(server.socket, server_side=True)
            scheme = "https"
        made = Web(f"{scheme}://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
