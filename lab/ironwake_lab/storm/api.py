"""The appliance's API as a storm uses it: connections inside of the rack's namespace, kept open."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from typing import Any

from ironwake.errors import BrokenError
from ironwake_lab import network

_HOST, _PORT = "127.0.0.1", 8080
_PATIENCE = 60.0  # seconds that a controller which is away is waited for
_PAUSE = 0.5


class Api:
    """One connection: for one thread."""

    def __init__(self, namespace: str, token: Callable[[], str]) -> None:
        self._namespace = namespace
        self._token = token
        self._connection: http.client.HTTPConnection | None = None

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON reply; BrokenError for a refusal, or when nobody answers for a minute."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                status, text = self._once(method, path, body)
            except (OSError, http.client.HTTPException, BrokenError) as error:
                self.close()
                if time.monotonic() > end:
                    raise BrokenError(
                        f"the appliance's API does not answer: {error}",
                        "see whether it runs: ironwake doctor",
                    ) from error
                time.sleep(_PAUSE)
                continue
            if status >= 400:
                raise BrokenError(f"{method} {path} answered {status}: {text[:300]}")
            return json.loads(text) if text else None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(self, method: str, path: str, body: Any) -> tuple[int, str]:
        if self._connection is None:
            connection = http.client.HTTPConnection(_HOST, _PORT, timeout=_PATIENCE)
            connection.sock = network.inside(self._namespace, _connect)
            self._connection = connection
        headers = {"Authorization": f"Bearer {self._token()}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body)
        self._connection.request(method, path, data, headers)
        reply = self._connection.getresponse()
        return reply.status, reply.read().decode("utf-8", "replace")


def _connect() -> socket.socket:
    return socket.create_connection((_HOST, _PORT), timeout=_PATIENCE)
