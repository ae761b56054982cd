"""Out of descriptors: waited out, and said once, and once when it is over.

A service at its limit of open files must not end, nor turn in circles, nor fill the log; when files
are closed again it goes on.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Any, Final

import structlog

from ironwake.errors import BrokenError
from ironwake_runtime.outage import Later, Row, by_the_loop

_SHORT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def is_one(error: BaseException | None) -> bool:
    """Whether the kernel had no descriptor, or no memory for one."""
    return isinstance(error, OSError) and error.errno in _SHORT


class Listener(socket.socket):
    """A listening socket for asyncio: connections that cannot be taken now wait in its queue.

    asyncio rests for a second after such an error, but before that it goes on accepting, as often
    as the backlog is long, and sets a timer for each failure (CPython 3.11): a few seconds later
    timers are all that it does.
    """

    _rests = False

    def accept(self) -> tuple[socket.socket, Any]:
        """As any socket's; after an error, nothing more in this turn."""
        if self._rests:
            self._rests = False
            raise BlockingIOError(errno.EAGAIN, "no more in this turn")
        try:
            return super().accept()
        except OSError as error:
            self._rests = is_one(error)
            raise


class ShortageError(BrokenError):
    """To a client whose request would need a descriptor; the shortage itself is said elsewhere."""

    def __init__(self) -> None:
        super().__init__("no descriptor is free", "try again")


class Shortage:
    """Says the first of a row, and its end; on the loop only. `clock`: monotonic seconds."""

    def __init__(
        self,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float],
        later: Later = by_the_loop,
    ) -> None:
        begins = "out of descriptors: clients wait until some are free"
        ends = "descriptors are free again"
        self._row = Row(log, begins, ends, logging.ERROR, clock, later)

    def tell(self, error: BaseException) -> None:
        """One more."""
        step = "raise the limit of open files, see: ulimit -n"
        self._row.more(error=str(error), next_step=step)

    def handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """asyncio's handler of what nobody else has handled."""
        error = context.get("exception")
        if error is not None and is_one(error):
            self.tell(error)
        else:
            loop.default_exception_handler(context)
