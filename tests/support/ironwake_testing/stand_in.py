"""A controller to hold: a real HTTP server on a loopback port, told what to answer.

Answers are queued by method and path and given in turn, the last one again and again. What was
asked is kept. Used by the tests of the command line and of the services' client.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_STREAM = "text/event-stream"


@dataclass(frozen=True)
class Asked:
    """One request that came; `body` is its JSON, None without one."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """`body` is sent as JSON, None as nothing; text and bytes as they are."""

    status: int = 200
    body: Any = None
    media_type: str = "application/json"

    @property
    def raw(self) -> bytes:
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


def stream(*events: dict[str, Any], comment: str = "") -> Answer:
    """Server-sent events, and then the end of the stream."""
    head = f": {comment}\n\n" if comment else ""
    text = "".join(f"id: {e['seq']}\ndata: {json.dumps(e)}\n\n" for e in events)
    return Answer(200, head + text, _STREAM)


@dataclass
class StandIn:
    """`url` is where it answers; every request must carry `token`."""

    url: str
    token: str
    asked: list[Asked] = field(default_factory=list)
    _answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Give these answers, in turn, from now on."""
        self._answers[method, path] = list(answers)

    def take(self, asked: Asked) -> Answer:
        """The answer to this request."""
        with self._changed:
            self.asked.append(asked)
            self._changed.notify_all()
            if asked.headers.get("authorization") != f"Bearer {self.token}":
                detail = {"detail": "the token is wrong", "next_step": "read it from its file"}
                return Answer(401, {"title": "Unauthorized", "status": 401, **detail})
            queue = self._answers.get((asked.method, asked.path))
            if not queue:
                return Answer(404, {"title": "Not Found", "status": 404, "detail": "nothing here"})
            return queue.pop(0) if len(queue) > 1 else queue[0]

    def wait_asked(self, path: str, count: int = 1) -> None:
        """Return once this path was asked for so often."""

        def enough() -> bool:
            return sum(1 for one in self.asked if one.path == path) >= count

        with self._changed:
            assert self._changed.wait_for(enough, 60), f"nobody asked for {path}"


@contextmanager
def standing_in() -> Iterator[StandIn]:
    """A controller on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            raw = self.rfile.read(length)
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            headers = {key.lower(): value for key, value in self.headers.items()}
            body = json.loads(raw) if raw else None
            answer = stand_in.take(Asked(self.command, parts.path, query, body, headers))
            self.send_response(answer.status)
            self.send_header("content-type", answer.media_type)
            self.send_header("content-length", str(len(answer.raw)))
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(answer.raw)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stand_in = StandIn(f"http://127.0.0.1:{server.server_address[1]}", "a-token")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield stand_in
        finally:
            server.shutdown()
            thread.join()
