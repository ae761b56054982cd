"""A transfer's port: its TID (RFC 1350 section 4).

Two sockets have it. One is connected to the client: the kernel compares the sender and knows the
way, which is a third of the work of a datagram. The other hears everybody else, so that a stranger
is told off with ERROR 5 by the engine, as it must be.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable

from ironwake_tftp.burst import Sender, send_once
from ironwake_tftp.files import File
from ironwake_tftp.transfer import Address, Transfer
from ironwake_tftp.turns import Turns

_ROOM = 256  # octets; an ACK has 4, and of an ERROR's text the beginning will do
_NEVER = float("inf")


class Session:
    """Serves `transfer` from our address `came_to`; `ended` is told of its end, whatever it was,
    with the exception where there was one. OSError when there are no sockets to be had."""

    def __init__(
        self,
        transfer: Transfer,
        file: File,
        came_to: str,
        turns: Turns,
        ended: Callable[[Session, Exception | None], None],
    ) -> None:
        self.transfer = transfer
        self.file = file
        self._turns = turns
        self._ended = ended
        self._over = False
        self._timer: asyncio.TimerHandle | None = None
        self._due = _NEVER  # when the timer wakes us
        self._own, self._others = _port(came_to, transfer.client)
        self._sender = Sender(self._own, transfer.segment)
        turns.add(self._own, self._ear())
        turns.add(self._others, self._heard_other)

    def pump(self) -> None:
        """Send what the engine wants sent, and wake it when it wants to be woken."""
        try:
            self._pump()
        except Exception as error:  # noqa: BLE001 (the fence round one transfer)
            self.end(error)

    def end(self, error: Exception | None = None) -> None:
        """Close the sockets; idempotent."""
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        for sock in (self._own, self._others):
            self._turns.remove(sock)
            sock.close()
        self._ended(self, error)

    def _ear(self) -> Callable[[], None]:
        """What is done about each datagram of the client. A function with nothing to look up: it
        runs for every block of every file."""
        transfer, sender = self.transfer, self._sender
        receive, next_flight, send = self._own.recv, transfer.next_flight, sender.send
        client, clock = transfer.client, time.monotonic

        def heard() -> None:
            try:
                data = receive(_ROOM)
            except OSError:
                return  # nothing there, or word that an earlier one found nobody: it is lost
            try:
                now = clock()
                run = next_flight(data, now)
                if run is None:
                    transfer.receive_datagram(data, client, now)
                    self._pump()
                else:
                    send(run)
                    if transfer.resend_at < self._due:
                        self._wake_at(transfer.resend_at)
            except Exception as error:  # noqa: BLE001 (the fence round one transfer)
                self.end(error)

        return heard

    def _heard_other(self) -> None:
        try:
            data, addr = self._others.recvfrom(_ROOM)
        except OSError:
            return
        try:
            self.transfer.receive_datagram(data, addr, time.monotonic())
            self._pump()
        except Exception as error:  # noqa: BLE001 (the fence round one transfer)
            self.end(error)

    def _time_is_up(self) -> None:
        self._timer, self._due = None, _NEVER
        try:
            self.transfer.handle_timer(time.monotonic())
            self._pump()
        except Exception as error:  # noqa: BLE001 (the fence round one transfer)
            self.end(error)

    def _pump(self) -> None:
        transfer = self.transfer
        runs, alone = transfer.to_send()
        for run in runs:
            self._sender.send(run)
        for data, addr in alone:
            send_once(self._others, data, addr)
        if transfer.closed:
            self.end()
        elif transfer.resend_at < self._due or self._timer is None:
            # A timer that is too early costs one look; setting it anew for each ACK costs more.
            self._wake_at(transfer.get_timer())

    def _wake_at(self, when: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if when is not None:
            loop = asyncio.get_running_loop()
            self._timer, self._due = loop.call_at(when, self._time_is_up), when


def _port(address: str, client: Address) -> tuple[socket.socket, socket.socket]:
    """A new port of `address`, for the client and for everybody else."""
    with contextlib.ExitStack() as stack:
        own, others = (stack.enter_context(_udp()) for _ in range(2))
        others.bind((address, 0))
        # Only now: with the option before, the kernel would give us another transfer's port.
        for sock in (others, own):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind(others.getsockname())
        own.connect(client)
        for sock in (others, own):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        # Nobody was told of the port yet: whoever got in before it was connected has guessed.
        with contextlib.suppress(OSError):
            while True:
                own.recv(1)
        stack.pop_all()
    return own, others


def _udp() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
