"""Sockets that take turns with the asyncio loop, instead of being served by it one by one.

An ACK that asyncio delivers costs more than all that is done about it: a handle, a context and a
turn of the loop for each. Here asyncio sees one descriptor, an epoll set. When something is in it
the set has its turn: its sockets are served directly, as long as they have something to say and at
most for `_TURN`. Then whatever else the loop has to do is done; nothing waits longer than that.
"""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Callable

_TURN = 0.01  # seconds; timers of transfers are longer
# Seconds that a turn waits for the next datagram: a client on the same network answers at once.
_LINGER = 0.004
_AT_ONCE = 64


class Turns:
    """An epoll set (level-triggered) within the loop that runs."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._heard: dict[int, Callable[[], None]] = {}

    def start(self) -> None:
        """Begin to serve; call within the loop."""
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._turn)

    def stop(self) -> None:
        """Serve no more."""
        asyncio.get_running_loop().remove_reader(self._epoll.fileno())
        self._epoll.close()

    def add(self, sock: socket.socket, heard: Callable[[], None]) -> None:
        """`heard` is called when there is something to read; once for each datagram will do. It
        must not raise."""
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        self._heard[sock.fileno()] = heard

    def remove(self, sock: socket.socket) -> None:
        """Before it is closed."""
        if self._heard.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock.fileno())

    def _turn(self) -> None:
        poll, heard, clock = self._epoll.poll, self._heard, time.monotonic
        end = clock() + _TURN
        ready = poll(0, _AT_ONCE)
        while ready:
            for number, _ in ready:
                if (hear := heard.get(number)) is not None:  # None: closed by one before it
                    hear()
            if clock() >= end:
                return
            ready = poll(_LINGER, _AT_ONCE)
