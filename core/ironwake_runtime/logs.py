"""Logs: one line per event on standard error, as text for people or JSON for machines."""

from __future__ import annotations

import logging
import sys
from typing import Any, cast

import structlog

from ironwake_runtime.settings import Settings


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
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr)
    return cast(structlog.stdlib.BoundLogger, structlog.get_logger(service=service))
