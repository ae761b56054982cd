"""SIGTERM ends a command as Ctrl-C does: with everything taken down."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Within it, SIGTERM is a KeyboardInterrupt."""

    def stop(number: int, frame: object) -> None:  # noqa: ARG001 (a signal handler)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
