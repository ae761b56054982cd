"""What goes wrong again and again: told at once, and then seldom, with how often it was.

Whoever reads the console, or the log that the appliance keeps, needs the lines around it too.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Final

_EVERY: Final = 30.0  # seconds between two lines about one trouble
_KINDS: Final = 8  # that are told apart


class Complaints:
    """For several threads, which may have the same trouble.

    :param clock: gives seconds
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock
        self._lock = threading.Lock()
        self._told: dict[str, tuple[float, int]] = {}  # when, and how often since

    def __call__(self, trouble: str, then: str = "going on") -> None:
        """Tell it, unless that was done a moment ago.

        :param then: what is done about it
        """
        with self._lock:
            now = self._clock()
            kind = trouble if trouble in self._told or len(self._told) < _KINDS else ""
            last, count = self._told.get(kind, (-math.inf, 0))
            is_due = now - last >= _EVERY
            self._told[kind] = (now, 0) if is_due else (last, count + 1)
        if is_due:
            often = f" ({count + 1} times since it was last told)" if count else ""
            self._say(f"{trouble}{often}; {then}")
