"""Time, passed in: one clock that measures, one that dates."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from ironwake.moment import Moment

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """`monotonic` measures and never jumps; `wall` is what people read and may jump by years."""

    @property
    def boot(self) -> str:
        """Identifies the run of the kernel in which `monotonic` values can be compared."""

    def monotonic(self) -> float:
        """Seconds since some moment of this run of the kernel, suspended time included."""

    def wall(self) -> datetime:
        """The time of day, with its zone (UTC)."""


class SystemClock:
    """This host's clocks."""

    def __init__(self, boot_id: Path = _BOOT_ID) -> None:
        self.boot = boot_id.read_text().strip()

    def monotonic(self) -> float:
        return steady()

    def wall(self) -> datetime:
        return datetime.now(UTC)


def steady() -> float:
    """Seconds of the clock that never leaps, in this run of the kernel."""
    # BOOTTIME, not MONOTONIC: a laptop that slept must not have armed machines for longer.
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def now(clock: Clock) -> Moment:
    """The present by both."""
    return Moment(clock.boot, clock.monotonic(), clock.wall().timestamp())


def text(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, as it stands in events."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
