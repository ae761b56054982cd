"""Background processes known by their pid file: is it still ours, and how to end it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

_POLL_SECONDS = 0.02


def read_pid(pid_file: Path) -> int | None:
    """The pid in the file, if there is one."""
    try:
        return int(pid_file.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None


def alive(pid_file: Path) -> int | None:
    """The pid, if that process runs and its command line names this very pid file.

    A pid alone proves nothing: after a crash or a reboot of the host it may be somebody else's.
    """
    pid = read_pid(pid_file)
    if pid is None or is_gone(pid):
        return None
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    wanted = os.fsencode(pid_file)
    return pid if any(word == wanted or word.endswith(b"=" + wanted) for word in words) else None


def is_gone(pid: int) -> bool:
    """Whether it has ended (a zombie has: only its parent has not looked yet)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
    # The state follows the command, which is in parentheses and may hold any character.
    return stat.rpartition(")")[2].split()[0] in ("Z", "X")


def wait_gone(pid: int, timeout: float) -> bool:
    """Wait up to `timeout` seconds for the process to end; whether it did."""
    deadline = time.monotonic() + timeout
    while not is_gone(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def end(pid: int, patience: float = 5.0) -> None:
    """Ask a process to end, and after `patience` seconds end it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if wait_gone(pid, patience):
            return
