"""Container health checks: `python -m ironwake_runtime.probe URL | udp:PORT | tcp:PORT`.

A URL must answer below 400. `udp:` and `tcp:` ask the kernel whether this container's first process
holds a socket on that port: with the host's network, any other process may hold it too.
"""

from __future__ import annotations

import http.client
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

_TIMEOUT = 4.0


def answers(url: str) -> bool:
    """Whether the URL answers with a status below 400."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT):  # noqa: S310 (our own address)
            return True
    except (urllib.error.URLError, OSError, http.client.HTTPException):
        return False


def holds(kind: str, port: int, pid: int, proc: Path = Path("/proc")) -> bool:
    """Whether process `pid` has a `udp` or `tcp` socket bound to `port`."""
    inodes = set()
    for line in (proc / "net" / kind).read_text().splitlines()[1:]:
        columns = line.split()
        if int(columns[1].rpartition(":")[2], 16) == port:
            inodes.add(columns[9])
    for descriptor in (proc / str(pid) / "fd").iterdir():
        found = re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink()))
        if found and found[1] in inodes:
            return True
    return False


def main() -> None:
    word = sys.argv[1]
    kind, _, rest = word.partition(":")
    good = holds(kind, int(rest), pid=1) if kind in ("udp", "tcp") else answers(word)
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
