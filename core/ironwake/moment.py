"""One instant by both clocks, and what becomes of a term when the host has started anew.

Terms (a lease, an arm) are kept by the steady clock, which no person and no time server sets: a
leap of the time of day neither ends nor prolongs them. Its seconds mean something in one run of the
kernel only; after the host's own restart there is nothing but the time of day to go by, once.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """`steady`: seconds of the clock that never leaps, in the run of the kernel called `boot`.

    `wall`: seconds since 1970, as far as the host knew.
    """

    boot: str
    steady: float
    wall: float

    def date(self, steady: float) -> float:
        """A time of this run's steady clock in seconds since 1970."""
        return self.wall + (steady - self.steady)

    def dated_by(self, other: Moment) -> Moment:
        """The same instant, with the time of day as it was known at `other`, of the same run."""
        return Moment(self.boot, self.steady, other.date(self.steady))

    def carried(self, until: float, written: Moment) -> float:
        """The end of a term in our run's steady seconds; it was `until` by those of `written`.

        In the same run it is the same. After a restart it goes by the time of day; a clock that
        went back gives no term more time than it had when it was written.
        """
        if written.boot == self.boot:
            return until
        left = written.date(until) - self.wall
        return self.steady + min(left, until - written.steady)
