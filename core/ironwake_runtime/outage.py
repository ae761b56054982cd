"""What fails again and again, said once, and once when it works again: logs have an end, too."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import structlog

_MOST: Final = 16  # different errors that are told while it lasts
_QUIET: Final = 60.0  # seconds without one, after which a row of them is over

Later = Callable[[float, Callable[[], None]], object]  # seconds, and what to call then


class Outage:
    """One for each thing that may fail; each different error of one outage is said once."""

    def __init__(self, log: structlog.stdlib.BoundLogger, event: str) -> None:
        self._log = log
        self._event = event
        self._said: set[str] = set()

    def failed(self, error: Exception, **more: str) -> None:
        """Once more."""
        self._say(self._log.warning, str(error) or type(error).__name__, more)

    def surprised(self, error: Exception) -> None:
        """Once more, by what nobody has foreseen: a mistake of ours."""
        self._say(self._log.error, f"{type(error).__name__}: {error}", {"exc_info": error})

    def over(self) -> None:
        """It works."""
        if self._said:
            self._said = set()
            self._log.info("works again", after=self._event)

    def _say(self, tell: Callable[..., Any], what: str, more: dict[str, Any]) -> None:
        if what not in self._said and len(self._said) < _MOST:
            self._said.add(what)
            tell(self._event, error=what, **more)


def by_the_loop(seconds: float, call: Callable[[], None]) -> object:
    """As a `Later`."""
    return asyncio.get_running_loop().call_later(seconds, call)


class Row:
    """What comes by the hundred, and has no end that could be seen but quiet: on the loop only.

    `begins` and `ends` are what is said; `clock`: monotonic seconds.
    """

    def __init__(
        self,
        log: structlog.stdlib.BoundLogger,
        begins: str,
        ends: str,
        level: int = logging.WARNING,
        clock: Callable[[], float] = time.monotonic,
        later: Later = by_the_loop,
    ) -> None:
        self._log = log
        self._begins, self._ends, self._level = begins, ends, level
        self._clock = clock
        self._later = later
        self._last = 0.0  # when it was seen last
        self._count = 0  # in this row; 0: there is none

    def more(self, **what: str) -> None:
        """One more."""
        if not self._count:
            self._log.log(self._level, self._begins, **what)
            self._later(_QUIET, self._look)
        self._count += 1
        self._last = self._clock()

    def _look(self) -> None:
        quiet = self._clock() - self._last
        if quiet < _QUIET:
            self._later(_QUIET - quiet, self._look)
            return
        self._log.info(self._ends, times=self._count)
        self._count = 0
