"""What fails again and again, said once, and once when it works again: logs have an end, too."""

from __future__ import annotations

import structlog


class Outage:
    """One for each thing that may fail."""

    def __init__(self, log: structlog.stdlib.BoundLogger, event: str) -> None:
        self._log = log
        self._event = event
        self._lasts = False

    def failed(self, error: Exception, **more: str) -> None:
        """Once more."""
        if not self._lasts:
            self._log.warning(self._event, error=str(error), **more)
        self._lasts = True

    def over(self) -> None:
        """It works."""
        if self._lasts:
            self._log.info("works again", after=self._event)
        self._lasts = False
