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
CACHE = Path(os.environ.get("IRONWAKE_CACHE_DIR") or "/var/cache/ironwake")
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


def unpack(package: str, program: str) -> Path:
    """The program at that path of a package that excludes another peer's: unpacked, not installed.

    BrokenError where it cannot be had.
    """
    folder = CACHE / "peers" / package
    found = folder / program.lstrip("/")
    if not found.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fetch = f"apt-get download -qq {package}"
        # The lists may be old, or not there at all: then they are fetched, once.
        script = (
            f"rm -f ./*.deb; {{ {fetch} || {{ apt-get update -qq && {fetch}; }}; }}"
            f" && dpkg-deb -x {package}_*.deb . && rm -f ./*.deb"
        )
        done = subprocess.run(
            ["sh", "-c", script], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode or not found.exists():
            raise BrokenError(f"{package} was not unpacked: {done.stderr.strip()[-500:]}")
    return found


@contextlib.contextmanager
def running(rack: Rack, argv: Sequence[str | Path], log: Path) -> Iterator[int]:
    """The peer in the appliance's place of its rack; its pid. It is ended afterwards."""
    with log.open("wb") as out:
        child = rack.popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield child.pid
    finally:
        process.end_child(child, 5)
