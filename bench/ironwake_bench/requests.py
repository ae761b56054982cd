"""HTTP requests as `bench/load/http.c` takes them: made here once, sent there fast."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_AGAIN = 0.01  # of all: a server may end a connection that idled, and not one that works


def get(target: str, host: str, more: Mapping[str, str] | None = None) -> bytes:
    """A GET of this path; `more` are headers."""
    return _head("GET", target, {"Host": host, **(more or {})})


def post(target: str, host: str, body: Any = None, more: Mapping[str, str] | None = None) -> bytes:
    """A POST with `body` as JSON; None for an empty one."""
    raw = b"" if body is None else json.dumps(body).encode()
    kind = {} if body is None else {"Content-Type": "application/json"}
    fields = {"Host": host, **kind, "Content-Length": str(len(raw)), **(more or {})}
    return _head("POST", target, fields) + raw


def write(path: Path, requests: Iterable[bytes]) -> Path:
    """The generator's file of requests; `path` again."""
    with path.open("wb") as out:
        for request in requests:
            out.write(b"%d\n" % len(request) + request)
    return path


def all_taken(done: Mapping[str, Any]) -> bool:
    """Whether none of the generator's requests was refused, nor more than one in a hundred had to
    be sent again."""
    return not done["failed"] and done["again"] <= _AGAIN * done["started"]


def _head(method: str, target: str, fields: Mapping[str, str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{key}: {value}" for key, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
