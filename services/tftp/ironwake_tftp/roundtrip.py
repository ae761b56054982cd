"""How long to wait for an answer before it is taken for lost (RFC 6298)."""

from __future__ import annotations


class RoundTrip:
    """What was learned about a client's network. All times in seconds.

    `wait` is RFC 6298's RTO, never under `floor`, which suits a LAN: one lost block must not cost a
    second; `least` the shortest round trip that was seen, 0 before any was.
    """

    __slots__ = ("_floor", "_smooth", "_varies", "ceiling", "least", "wait")

    def __init__(self, first: float, floor: float, ceiling: float) -> None:
        self.wait = first
        self.ceiling = ceiling
        self.least = 0.0
        self._floor = floor
        self._smooth: float | None = None  # SRTT
        self._varies = 0.0  # RTTVAR

    def measure(self, took: float) -> None:
        """A round trip took so long."""
        if self._smooth is None:
            self._smooth, self._varies, self.least = took, took / 2, took
        else:
            self._varies = 0.75 * self._varies + 0.25 * abs(self._smooth - took)
            self._smooth = 0.875 * self._smooth + 0.125 * took
            self.least = min(self.least, took)
        self.wait = min(max(self._smooth + 4 * self._varies, self._floor), self.ceiling)
