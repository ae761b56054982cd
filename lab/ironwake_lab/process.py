"""Background processes known by their pid file: is it still ours, and how to end it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

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
        return _stat(pid)[0] in ("Z", "X")
    except OSError:
        return True


def parent(pid: int) -> int:
    """The process that started it, 0 for the first of all; OSError when it has ended."""
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat (proc(5)) from the state on: "S", the parent's pid, …"""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    # They follow the command, which is in parentheses and may hold any character.
    return stat.rpartition(")")[2].split()


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


def end_child(child: subprocess.Popen[Any], patience: float = 10.0) -> None:
    """The same for a child of ours, whose pipes are closed, too."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream:
            with contextlib.suppress(OSError):
                stream.close()
