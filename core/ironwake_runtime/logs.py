"""Logs: one line per event on standard error, as text for people or JSON for machines.

Standard error may be a file on a disk that is full, or a pipe whose reader has gone: a line that
cannot be written is lost, and counted, but it ends nothing. A reader that is there and does not
read is waited for, as by any program.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO, cast

import structlog

from ironwake_runtime.settings import Settings


def _loss(count: int) -> str:
    return f"# {count} lines could not be written here\n"


class Lines(io.TextIOBase):
    """Writes whole lines to a descriptor; the first one after a loss is preceded by its count.

    `loss` makes the line that tells of so many.
    """

    def __init__(self, descriptor: int, loss: Callable[[int], str] = _loss) -> None:
        self._descriptor = descriptor
        self._loss = loss
        self._lost = 0
        self._is_torn = False  # the last line has no end

    def write(self, text: str) -> int:
        """All of it, or as much as there is room for; never an error."""
        end = "\n" if self._is_torn else ""
        said = self._loss(self._lost) if self._lost else ""
        data = f"{end}{said}{text}".encode("utf-8", "backslashreplace")
        try:
            while data:
                count = os.write(self._descriptor, data)
                self._is_torn = data[count - 1 : count] != b"\n"
                data = data[count:]
        except OSError:
            self._lost += 1
        else:
            self._lost = 0
        return len(text)


def errors() -> Lines:
    """Standard error."""
    return Lines(sys.stderr.fileno())


def set_up(settings: Settings, service: str) -> structlog.stdlib.BoundLogger:
    """Configure this process's logging, once, at its composition root."""
    level = getattr(logging, settings.log_level.upper())
    chain: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    if settings.log_format == "json":
        chain.append(structlog.processors.JSONRenderer())
    else:
        chain.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))

    def loss(count: int) -> str:
        """An event like the others, for who reads them as JSON."""
        event: Any = {"event": "lines could not be written here", "count": count}
        for step in chain:
            event = step(None, "warning", event)
        return f"{event}\n"

    out = Lines(sys.stderr.fileno(), loss)
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, out)),
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=out)
    return cast(structlog.stdlib.BoundLogger, structlog.get_logger(service=service))
