"""Peers: the distribution's servers, installed when absent, each in a rack of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ironwake.errors import BrokenError
from ironwake_lab import Rack, process

_TOOLS = Path(__file__).parents[2] / "tools"
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def need(program: str, package: str) -> str:
    """The program's path; its package is installed when it lacks. BrokenError if that fails."""
    found = shutil.which(program, path=_PATH)
    if found is None:
        # A package's own service must not start on this machine: tools/install sees to it.
        done = subprocess.run([_TOOLS / "install", package], stdout=sys.stderr, check=False)
        found = shutil.which(program, path=_PATH)
        if done.returncode or found is None:
            raise BrokenError(f"{program} is missing", f"run: apt-get install {package}")
    return found


def wait_tcp(rack: Rack, address: str, port: int, log: Path) -> None:
    """Wait until somebody takes connections there; BrokenError with the log's end if not."""
    script = f"until (exec 3<>/dev/tcp/{address}/{port}) 2>/dev/null; do sleep 0.1; done"
    done = rack.run(["timeout", "60", "bash", "-c", script], check=False)
    if done.returncode:
        raise BrokenError(f"nobody listens on port {port}: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def running(rack: Rack, argv: Sequence[str | Path], log: Path) -> Iterator[int]:
    """The peer in the appliance's place of its rack; its pid. It is ended afterwards."""
    with log.open("wb") as out:
        child = rack.popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield child.pid
    finally:
        process.end_child(child, 5)
