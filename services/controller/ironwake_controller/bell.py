"""A bell: whoever waits hears that something changed, from whichever thread it was rung."""

from __future__ import annotations

import asyncio
import contextlib
import threading


class Bell:
    """Listen first, then look, then wait: a ring between looking and waiting is not missed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[asyncio.Future[None]] = set()
        self.closed = False

    def listen(self) -> asyncio.Future[None]:
        """A future that the next ring, or the closing, completes. Only in a running loop."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self.closed:
                future.set_result(None)
            else:
                self._waiting.add(future)
        return future

    async def wait(self, future: asyncio.Future[None], seconds: float) -> bool:
        """Whether it rang within that time."""
        try:
            await asyncio.wait_for(asyncio.shield(future), seconds)
        except TimeoutError:
            return False
        finally:
            with self._lock:
                self._waiting.discard(future)
        return True

    def ring(self) -> None:
        """Complete every future that was handed out. From any thread."""
        with self._lock:
            waiting, self._waiting = self._waiting, set()
        for future in waiting:
            # A loop that has ended has nobody left to tell.
            with contextlib.suppress(RuntimeError):
                future.get_loop().call_soon_threadsafe(_complete, future)

    def close(self) -> None:
        """Ring, and from now on at once: the service stops."""
        with self._lock:
            self.closed = True
        self.ring()


def _complete(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
