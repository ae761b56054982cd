"""The dhcp service but its sockets: it can die at any moment, and its leases outlive it."""

from __future__ import annotations

import queue
from collections.abc import Coroutine
from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Protocol

from ironwake.errors import BrokenError
from ironwake.mac import Mac
from ironwake.report import Report
from ironwake.view import Index
from ironwake_dhcp.delivery import Source
from ironwake_dhcp.desk import Desk, open_desk
from ironwake_dhcp.exchange import Exchange
from ironwake_dhcp.offer import Door
from ironwake_dhcp.place import Place
from ironwake_dhcp.telling import pages
from ironwake_runtime import clock
from ironwake_runtime.clock import Clock
from ironwake_runtime.controller import ControllerClient
from ironwake_runtime.service import Log
from ironwake_runtime.settings import Settings
from ironwake_testing.dhcp import boot_file, options

OURS = IPv4Address("10.77.0.2")
_DISCOVERY, _VENDOR = 43, 60
_PLACE = Place("lo", 1, bytes(6), OURS)
_TORN = b'[{"address": "10.77.0.1'


class Fate(StrEnum):
    """What becomes of an answer."""

    HEARD = "heard"
    LOST = "lost on the network"
    UNWRITTEN = "the service dies before the lease is on the disk"
    UNSENT = "the service dies when it is"


class Run(Protocol):
    """Runs work to its end."""

    def __call__(self, work: Coroutine[Any, Any, Any]) -> Any: ...


class Dhcp:
    """`settings` are the service's own; `desk` is there in server mode."""

    def __init__(
        self,
        settings: Settings,
        client: ControllerClient,
        report: Report,
        clock: Clock,
        run: Run,
        log: Log,
    ) -> None:
        self._settings = settings
        self._client = client
        self._report = report
        self._clock = clock
        self._run = run
        self._log = log
        self._index: Index | None = None
        self._told = False
        self.desk: Desk | None = None
        self.start()

    def start(self) -> None:
        """As after a reboot: it knows what is on its disk, and the view."""
        if self._settings.dhcp_mode == "server":
            self.desk = self._run(
                open_desk(self._settings, _PLACE, self._client, self._log, self._clock)
            )
        self._told = False
        self.exchange = Exchange(self._report, self.desk.lending if self.desk else None)
        if self._index is not None:
            self.exchange.take(self._index)

    def die(self) -> None:
        """What was noted, and not committed, is gone."""
        if self.desk is not None:
            self.desk.journal.close()

    def take(self, index: Index) -> None:
        self._index = index
        self.exchange.take(index)

    @property
    def now(self) -> float:
        return self._clock.monotonic()

    def ask(
        self,
        message: bytes,
        *,
        door: Door = Door.SERVER,
        address: IPv4Address | None = None,
        fate: Fate = Fate.HEARD,
    ) -> bytes | None:
        """One datagram: a broadcast, or from a client that has `address`. What it heard of us."""
        source = Source(address or IPv4Address(0), 68, door, to_all=address is None)
        outgoing = self.exchange.receive(message, source, self.now)
        if fate is Fate.UNWRITTEN:
            self._break_off()
        else:
            self._commit()
        if fate is Fate.UNSENT:
            self.die()
            self.start()
        return outgoing.payload if outgoing and fate is Fate.HEARD else None

    def _break_off(self) -> None:
        """It dies in the middle of a line."""
        self.die()
        file = self._file
        if file.exists():
            file.write_bytes(file.read_bytes() + _TORN)
        self.start()

    @property
    def _file(self) -> Path:
        return self._settings.state_dir / "dhcp" / "leases.jsonl"

    def _commit(self) -> None:
        if self.desk is None or not self.desk.journal.is_noted:
            return
        done: queue.SimpleQueue[BrokenError | None] = queue.SimpleQueue()
        self.desk.journal.commit(done.put)
        assert done.get() is None
        self._told = False

    def try_addresses(self, answering: Mac | None) -> None:
        """Each that is to be tried: nobody is there, or this card is."""
        if self.desk is None:
            return
        for book in self.desk.lender.books:
            for address in book.to_probe(self.now):
                if answering is None:
                    book.tried(address, self.now)
                for lease in book.in_use(address, str(answering), self.now):
                    self.desk.keep(lease)
        self._commit()

    def tell(self) -> None:
        """The controller hears of all leases. Raises IronwakeError where it is away."""
        if self.desk is None or self._told:
            return
        books = self.desk.lender.books
        leases = [lease for book in books for lease in book.all()]
        for news in pages(leases, lambda _: str(books[0].network), clock.now(self._clock)):
            self._run(self._client.leases(news))
        self._told = True


def leads(reply: bytes) -> bool:
    """Whether firmware would take this for an offer to boot."""
    said = options(reply)
    return bool(boot_file(reply) or said.get(_DISCOVERY) or said.get(_VENDOR))
