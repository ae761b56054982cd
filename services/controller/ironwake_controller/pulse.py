"""When each live deployment last gave a sign of life. In memory: a restart counts as one."""

from __future__ import annotations

import threading


class Pulse:
    """Monotonic seconds by deployment id; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}

    def beat(self, deployment: str, now: float) -> None:
        with self._lock:
            self._last[deployment] = now

    def quiet(self, deployment: str, now: float) -> float:
        """Seconds since its last sign of life; the first question counts as one."""
        with self._lock:
            return now - self._last.setdefault(deployment, now)

    def keep(self, live: set[str]) -> None:
        """Forget all others."""
        with self._lock:
            for name in self._last.keys() - live:
                del self._last[name]
