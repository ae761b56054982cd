"""The appliance's processes: what they use, whether one ended, and ending them on purpose."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ironwake_lab import network

PORTS = {"controller": 8080, "dhcp": 67, "tftp": 69, "dns": 53, "http": 80}
NAMES = tuple(PORTS)
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Use:
    """`rss` in octets, `descriptors` open files and sockets, `cpu` seconds so far."""

    rss: int
    descriptors: int
    cpu: float


@dataclass
class Services:
    """Looks at those that run in this network namespace; `exits` are deaths that we did not make.

    A service that was started again has another pid: `look` often enough sees every death.
    """

    namespace: str
    exits: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    peak: dict[str, int] = field(default_factory=dict)  # octets of memory
    _pids: dict[str, int] = field(default_factory=dict)
    _killed: set[int] = field(default_factory=set)
    _working: dict[int, float] = field(default_factory=dict)  # since when, by pid

    def look(self) -> None:
        """See who runs now, and count who is gone."""
        found = self._find()
        for name, pid in list(self._pids.items()):
            if found.get(name) != pid:
                if pid in self._killed:
                    self._killed.discard(pid)
                else:
                    self.exits[name] += 1
                del self._pids[name]
                self._working.pop(pid, None)
        self._pids.update(found)
        for name, pid in found.items():
            if pid not in self._working and _listens(pid, PORTS[name]):
                self._working[pid] = time.monotonic()
            with contextlib.suppress(OSError, ValueError):
                self.peak[name] = max(self.peak.get(name, 0), _resident(pid))

    def use(self) -> dict[str, Use]:
        """By service, of those that run."""
        found = {}
        for name, pid in self._pids.items():
            with contextlib.suppress(OSError, ValueError):
                count = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 (only their number)
                found[name] = Use(_resident(pid), count, _processor(pid))
        return found

    def kill(self, name: str, at_work: float) -> bool:
        """End it with SIGKILL; whether that was done. One that is not at work for so many seconds
        is left alone: on a slow host, nobody would ever see it again."""
        pid = self._pids.get(name)
        if pid is None or time.monotonic() - self._working.get(pid, time.monotonic()) < at_work:
            return False
        self._killed.add(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        self.kills[name] += 1
        return True

    def _find(self) -> dict[str, int]:
        known = {pid: name for name, pid in self._pids.items()}
        found = {known[pid]: pid for pid in known if _module(pid) == known[pid]}
        if len(found) == len(NAMES):
            return found
        for pid in network.processes(self.namespace):
            name = _module(pid)
            if name:
                found.setdefault(name, pid)
        return found


def _module(pid: int) -> str:
    """Which service this process is, "" for none. A helper that it has started is none."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return ""
    if len(words) < 3 or words[1] != "-m":
        return ""
    name = words[2].removeprefix("ironwake_")
    return name if name in NAMES and name != words[2] else ""


def _listens(pid: int, port: int) -> bool:
    """Whether anybody in that process's network has the port: here, only one can be it."""
    wanted = f":{port:04X}"
    for table in ("tcp", "udp"):
        with contextlib.suppress(OSError):
            rows = Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]
            columns = (row.split() for row in rows)
            if any(column[1].endswith(wanted) and column[3] in _OPEN for column in columns):
                return True
    return False


_OPEN = ("0A", "07")  # a listening TCP socket, an open UDP socket


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE


def _processor(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK
