"""Container health checks: `python -m ironwake_runtime.probe URL | udp:PORT | tcp:PORT`.

A URL must answer below 400. `udp:` and `tcp:` ask the kernel whether this container's first process
holds a socket on that port: with the host's network, any other process may hold it too.
"""

from __future__ import annotations

import http.client
import sys
import urllib.error
import urllib.request

from ironwake_runtime.ports import holds

_TIMEOUT = 4.0  # seconds


def answers(url: str) -> bool:
    """Whether the URL answers with a status below 400."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT):  # noqa: S310 (our own address)
            return True
    except (urllib.error.URLError, OSError, http.client.HTTPException):
        return False


def main() -> None:
    """Exit 0 for good health, 1 for bad."""
    word = sys.argv[1]
    kind, _, rest = word.partition(":")
    good = holds(kind, int(rest), pid=1) if kind in ("udp", "tcp") else answers(word)
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
