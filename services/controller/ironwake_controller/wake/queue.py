"""Whose turn it is to be woken.

Only machines that were armed, or that a person asked to wake. Again and again, with pauses that
grow, until the machine is seen awake or its deadline passes: a packet is lost easily, and the
network card of a machine that is just shutting down hears none.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from ironwake_controller.bell import Bell

PAUSES = (2.0, 4.0, 8.0, 15.0, 30.0)  # seconds between packets, the last one again and again


@dataclass
class _Sleeper:
    due: float
    until: float
    deployment: str
    sent: int = 0


@dataclass(frozen=True)
class Turn:
    """A machine's turn to be woken, now; `number` counts those of this machine.

    `deployment` is what it shall wake for, "" where a person asked for the waking itself.
    """

    machine_id: int
    number: int
    deployment: str


class WakeQueue:
    """Who is being woken. Times are monotonic seconds; from any thread.

    :param rate: machines per second, at most, for all together. Machines that start at the same
        moment draw several times their power: supplies and breakers have limits.
    """

    def __init__(self, rate: float) -> None:
        self.bell = Bell()  # rings when there is somebody to wake
        self._spacing = 1.0 / rate
        self._free = float("-inf")  # before then it is nobody's turn
        self._lock = threading.Lock()
        self._sleepers: dict[int, _Sleeper] = {}

    def begin(self, machine_id: int, now: float, until: float, deployment: str = "") -> None:
        """Wake this machine from now on, until `until` at most; anew if it is being woken."""
        with self._lock:
            self._sleepers[machine_id] = _Sleeper(now, until, deployment)
        self.bell.ring()

    def stop(self, machine_id: int) -> None:
        """It is awake, or shall not wake any more."""
        with self._lock:
            self._sleepers.pop(machine_id, None)

    def due(self, now: float) -> Turn | None:
        """Whose turn it is: who waits longest; nobody's, sooner than the rate allows."""
        with self._lock:
            for number in [n for n, s in self._sleepers.items() if now >= s.until]:
                del self._sleepers[number]
            ready = [(s.due, number) for number, s in self._sleepers.items() if now >= s.due]
            if not ready or now < self._free:
                return None
            # From now, not from when it was due: a late round must not send the missed ones at once
            self._free = now + self._spacing
            return self._take(min(ready)[1], now)

    def _take(self, number: int, now: float) -> Turn:
        sleeper = self._sleepers[number]
        sleeper.due = now + PAUSES[min(sleeper.sent, len(PAUSES) - 1)]
        sleeper.sent += 1
        return Turn(number, sleeper.sent, sleeper.deployment)

    def rest(self, now: float) -> float:
        """Seconds until it may be somebody's turn; infinite while nobody is being woken."""
        with self._lock:
            first = min((s.due for s in self._sleepers.values()), default=float("inf"))
        return max(0.0, first - now, self._free - now)
