"""Logs: one line per event on standard error, as text for people or JSON for machines.

Standard error may be a file on a disk that is full, or a pipe that nobody reads: a line that cannot
be written is lost, and counted, but it ends nothing.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from typing import Any, TextIO, cast

import structlog

from ironwake_runtime.settings import Settings


class Lines(io.TextIOBase):
    """Writes whole lines to a descriptor; the first one after a loss is preceded by its count."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lost = 0

    def write(self, text: str) -> int:
        """All of it, or as much as there is room for; never an error."""
        said = f"# {self._lost} lines could not be written here\n" if self._lost else ""
        data = f"{said}{text}".encode("utf-8", "backslashreplace")
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
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
    out = errors()
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
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, out)),
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=out)
    return cast(structlog.stdlib.BoundLogger, structlog.get_logger(service=service))
