"""What fails again and again, said once, and once when it works again: logs have an end, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import structlog

_MOST: Final = 16  # different errors that are told while it lasts


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
