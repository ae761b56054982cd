"""Out of descriptors: waited out, and said once, and once when it is over.

A service at its limit of open files must not end, nor turn in circles, nor fill the log; when files
are closed again it goes on.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any, Final

import structlog

_SHORT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_QUIET: Final = 60.0  # seconds without one, after which it is over

Later = Callable[[float, Callable[[], None]], object]  # seconds, and what to call then


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


def _by_the_loop(seconds: float, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, call)


class Shortage:
    """Says the first of a row, and its end; on the loop only. `clock`: monotonic seconds."""

    def __init__(
        self,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float],
        later: Later = _by_the_loop,
    ) -> None:
        self._log = log
        self._clock = clock
        self._later = later
        self._last: float | None = None  # when it was seen last; None: there is none

    def tell(self, error: BaseException) -> None:
        """One more."""
        if self._last is None:
            self._log.error(
                "out of descriptors: clients wait until some are free",
                error=str(error),
                next_step="raise the limit of open files, see: ulimit -n",
            )
            self._later(_QUIET, self._look)
        self._last = self._clock()

    def _look(self) -> None:
        """Whether it is over: nothing wanted a descriptor in vain for a while."""
        assert self._last is not None
        quiet = self._clock() - self._last
        if quiet < _QUIET:
            self._later(_QUIET - quiet, self._look)
            return
        self._last = None
        self._log.info("descriptors are free again")

    def handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """asyncio's handler of what nobody else has handled."""
        error = context.get("exception")
        if error is not None and is_one(error):
            self.tell(error)
        else:
            loop.default_exception_handler(context)
