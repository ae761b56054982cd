"""How much of one kind is too much: an even pace for each key, and a little more at once. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import islice
from typing import Final

from ironwake_dhcp.packet import CHADDR

_MOST: Final = 8192  # keys remembered: a sweep of made-up cards must not fill the memory
_AT_ONCE: Final = 0.1  # seconds' worth of datagrams that may come together


class Pace:
    """At most `rate` a second for each key, after `burst` at once.

    One number for each key, the time at which its next one is due (GCRA, ITU-T I.371). Times are
    monotonic seconds.
    """

    def __init__(self, rate: float, burst: float, most: int = _MOST) -> None:
        self._every = 1 / rate
        # A hundredth for what is lost in adding up.
        self._slack = max(burst - 0.99, 0.01) / rate
        self._most = most
        self._due: dict[Hashable, float] = {}

    def admits(self, key: Hashable, now: float) -> bool:
        """Whether one more of `key` may pass now; it counts only if so."""
        due = self._due.get(key, now)
        if due - now > self._slack:
            return False
        self._due[key] = (due if due > now else now) + self._every
        if len(self._due) > self._most:
            self._forget(now)
        return True

    def __len__(self) -> int:
        return len(self._due)

    def _forget(self, now: float) -> None:
        """Whoever is due already is as good as new; if nobody is, the oldest half goes."""
        busy = {key: due for key, due in self._due.items() if due > now}
        if len(busy) > self._most // 2:
            busy = dict(islice(busy.items(), len(busy) - self._most // 2, None))
        self._due = busy


class Limits:
    """Which datagrams are looked at: so many of one card, and so many in total, in each second.

    By the card that stands in the datagram, before anything else of it is read.
    """

    def __init__(self, card: float, total: float) -> None:
        self._cards = Pace(card, card * _AT_ONCE)
        self._total = Pace(total, total * _AT_ONCE)

    def refused(self, data: bytes, now: float) -> str:
        """Which limit one more datagram is over; "" for one that is looked at.

        What is refused to one card is no part of the total.
        """
        if not self._cards.admits(data[CHADDR], now):
            return "over the limit for a card"
        return "" if self._total.admits(None, now) else "over the limit for all"
