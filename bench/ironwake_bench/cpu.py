"""Processor time of a server, its children among it."""

from __future__ import annotations

import os
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")


def seconds(pid: int) -> float:
    """User and system time so far of a process, of those it waited for, and of its children.

    The clock ticks a hundred times a second (proc(5)): measure over a second and more.
    """
    fields = _fields(pid)
    total = sum(int(fields[place]) for place in (11, 12, 13, 14)) * _TICK
    return total + sum(_of_child(child) for child in _children(pid))


def _of_child(pid: int) -> float:
    try:
        return seconds(pid)
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile: its parent has its time
        return 0.0


def resident(pid: int) -> int:
    """Octets of memory that the process has in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    """How many files and sockets it has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 (only their number)


def _fields(pid: int) -> list[str]:
    """Of /proc/PID/stat from the state on: utime is at 11 (proc(5) counts it as 14)."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    return stat.rpartition(")")[2].split()


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(word) for word in (task / "children").read_text(encoding="ascii").split()]
    return found
