"""Carriers: threads that send files, so that every processor takes part in it.

sendfile(2) needs no interpreter while it works, so the threads do not wait for each other. A
connection that begins with a file is a carrier's for as long as files are all that it asks for,
for each change of threads costs as much as a small range. What else it asks for goes back to the
loop, with every byte that was read. A connection that began with something else stays the loop's:
its files are sent by a carrier, too, one at a time.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from ironwake_http.sending import Job, Transfer

# Bytes; also what of a head is read here: the loop knows what to say of longer ones.
READ = 16 << 10
_LOOK = 1.0  # seconds: how late a client may be found that stands still
_END = b"\r\n\r\n"

Study = Callable[[bytes, str], Job | None]  # a whole head and the client's address: what to send


@dataclass
class Client:
    """A connection of a carrier's. `due`: when its next request must be complete (monotonic).

    `lent`: only for this transfer; somebody else has the connection.
    """

    sock: socket.socket
    address: str
    transfer: Transfer | None
    read: bytes = b""
    lent: bool = False
    due: float = 0.0
    events: int = select.EPOLLOUT


@dataclass(frozen=True)
class Ties:
    """What a carrier asks for, in its own thread.

    `idle`: seconds until the head of the next request is complete. `back`: this client has asked
    for something else. `left`: it is gone.
    """

    study: Study
    idle: float
    back: Callable[[Client], None]
    left: Callable[[Client], None]
    log: structlog.stdlib.BoundLogger


class Carrier:
    """One of them."""

    def __init__(self, ties: Ties) -> None:
        self._ties = ties
        self._clients: dict[int, Client] = {}
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._wake, select.EPOLLIN)
        self._until: float | None = None  # when all transfers end, once it was told to close
        self._look = 0.0  # when to look who is late
        self._thread = threading.Thread(target=self._run, name="carrier", daemon=True)
        self._thread.start()

    def take(self, client: Client) -> None:
        """From any thread: go on with its transfer; it is over where that cannot be."""
        number = client.sock.fileno()
        self._clients[number] = client
        try:
            self._poll.register(number, client.events)
        except (OSError, ValueError):  # no memory for one more, or closed
            self._drop(client)

    def close(self, seconds: float) -> None:
        """Send what is on its way, for so long at most, and take nothing any more. Once."""
        if self._until is None:
            self._until = time.monotonic() + seconds
            os.eventfd_write(self._wake, 1)

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()
        for client in list(self._clients.values()):
            self._drop(client)
        self._poll.close()
        os.close(self._wake)

    def _run(self) -> None:
        while self._until is None or (self._clients and time.monotonic() < self._until):
            pause = _LOOK if self._until is None else self._until - time.monotonic()
            ready = self._poll.poll(max(0.0, min(pause, self._look - time.monotonic())))
            now = time.monotonic()
            for number, _ in ready:
                client = self._clients.get(number)
                if client is not None:
                    self._serve(client, now)
                elif number == self._wake:
                    os.eventfd_read(self._wake)
            if now >= self._look or self._until is not None:
                self._look_round(now)

    def _look_round(self, now: float) -> None:
        """Let go of who is late, and at the end of who only waits."""
        self._look = now + _LOOK
        for client in list(self._clients.values()):
            due = client.transfer.due if client.transfer else client.due
            if now >= due or (self._until is not None and client.transfer is None):
                self._drop(client)
            else:
                self._look = min(self._look, due)

    def _serve(self, client: Client, now: float) -> None:
        try:
            self._go_on(client, now)
        except OSError:  # the client has left
            self._drop(client)
        except Exception as error:  # whatever it is, the other clients have their files
            self._ties.log.error("carrier failed", exc_info=error)
            self._drop(client)

    def _go_on(self, client: Client, now: float) -> None:
        if client.transfer is None:
            more = client.sock.recv(READ)
            if not more:
                raise ConnectionResetError("the client has left")
            client.read += more
            if not self._next(client, now):
                return
        if client.transfer is not None and client.transfer.push(now):
            transfer, client.transfer = client.transfer, None
            transfer.end(now)
            if client.lent or transfer.job.last:
                self._drop(client)
                return
            client.due = now + self._ties.idle
            # One that asks for many at once has its turn with each, as the others have.
            if not self._next(client, now):
                return
        if client.transfer is None:
            self._await(client, select.EPOLLIN, client.due)
        else:
            self._await(client, select.EPOLLOUT, client.transfer.due)

    def _next(self, client: Client, now: float) -> bool:
        """Begin with the next request, if it is there; whether the client is still ours."""
        head, end, rest = client.read.partition(_END)
        if not end and len(head) < READ:
            return True
        job = self._ties.study(head + end, client.address) if end else None
        if job is None:
            if self._until is not None:
                raise ConnectionResetError("nothing is begun any more")
            self._forget(client)
            self._ties.back(client)
            return False
        client.read = rest
        client.transfer = Transfer(client.sock, job, now)
        return True

    def _await(self, client: Client, events: int, due: float) -> None:
        if client.events != events:
            self._poll.modify(client.sock.fileno(), events)
            client.events = events
        self._look = min(self._look, due)

    def _forget(self, client: Client) -> None:
        # By its number and not left to close(2): a lent socket's other descriptor stays open, and
        # epoll would go on telling of it (epoll(7)).
        self._clients.pop(client.sock.fileno(), None)
        with contextlib.suppress(OSError, ValueError):
            self._poll.unregister(client.sock.fileno())

    def _drop(self, client: Client) -> None:
        self._forget(client)
        # Its place first: a client that sees the end may be back at once.
        if not client.lent:
            self._ties.left(client)
        client.sock.close()
        if client.transfer is not None:
            client.transfer.end(time.monotonic())


class Carriers:
    """All of them: as many as there are processors, within reason."""

    def __init__(self, ties: Ties) -> None:
        self.study = ties.study
        self._all = [Carrier(ties) for _ in range(min(4, len(os.sched_getaffinity(0))))]
        self._turns = itertools.cycle(self._all)

    def take(self, client: Client) -> None:
        """Whose turn it is goes on with this client."""
        next(self._turns).take(client)

    def close(self, seconds: float) -> None:
        """See `Carrier.close`."""
        for carrier in self._all:
            carrier.close(seconds)

    def join(self) -> None:
        """Wait for their end; not on the loop, for they have last words to tell it."""
        for carrier in self._all:
            carrier.join()
