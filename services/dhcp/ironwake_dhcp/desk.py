"""Server mode put together: the books of all subnets, their journal, who tells of them, who tries.

Part of the composition root: built once, from settings.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine
from dataclasses import dataclass

from ironwake.errors import BrokenError, RefusedError
from ironwake.report import Report
from ironwake.site import ForeignServer
from ironwake_dhcp.ask_foreign import ask
from ironwake_dhcp.book import Book, Lease
from ironwake_dhcp.exchange import Lending
from ironwake_dhcp.in_use import Prober
from ironwake_dhcp.journal import Journal
from ironwake_dhcp.lease_file import LeaseFile
from ironwake_dhcp.lend import Lender
from ironwake_dhcp.server import Place
from ironwake_dhcp.telling import Telling
from ironwake_runtime import interfaces, subnets
from ironwake_runtime.controller import ControllerClient
from ironwake_runtime.service import Log
from ironwake_runtime.settings import Settings


@dataclass(frozen=True)
class Desk:
    """Everything that giving addresses takes."""

    lender: Lender
    journal: Journal
    telling: Telling
    log: Log

    @property
    def lending(self) -> Lending:
        return Lending(self.lender, self.keep)

    def keep(self, lease: Lease) -> None:
        """Note it for the journal's next commit, and for the controller."""
        self.journal.note(lease)
        self.telling.tell(lease)

    def keep_now(self, leases: tuple[Lease, ...]) -> None:
        """The same where no answer waits for it."""
        for lease in leases:
            self.keep(lease)
        self.journal.commit(self._committed)

    def _committed(self, error: BrokenError | None) -> None:
        if error is not None:
            self.log.warning("an address that is in use was not noted", error=str(error))

    def work(self, place: Place, report: Report) -> tuple[Coroutine[None, None, None], ...]:
        """What goes on beside the answers, until cancelled."""
        link = self.lender.book(self.lender.server)
        where = (place.interface, place.mac)
        prober = Prober(self.lender.books, link, lambda: where, self.keep_now, report, time.time)
        return self.telling.run(), prober.run()


async def open_desk(settings: Settings, place: Place, client: ControllerClient, log: Log) -> Desk:
    """All of server mode; its journal is open until it is closed.

    :raises InputError: subnets that can't be right
    :raises RefusedError: another DHCP server gives addresses here
    :raises BrokenError: the lease file can't be read or written
    """
    own = interfaces.find(settings.interface).network
    known = subnets.of(settings, own)
    file = LeaseFile(settings.state_dir / "dhcp" / "leases.jsonl")
    kept = file.load()
    if not settings.dhcp_beside:
        await _be_alone(place)
    books = tuple(Book(subnet, place.address, kept) for subnet in known)
    # A subnet that was taken out of the file, or mistyped in it, may come back with its leases.
    others = [
        lease
        for lease in kept
        if lease.expires > time.time() and not any(lease.address in b.network for b in books)
    ]
    file.start((*others, *(lease for book in books for lease in book.all())))
    authority = settings.dhcp_authoritative
    lender = Lender(
        place.address,
        books,
        settings.domain,
        not settings.dhcp_beside if authority is None else authority,
    )
    return Desk(lender, Journal(file), Telling(client, books, log), log)


async def _be_alone(place: Place) -> None:
    """RefusedError where another DHCP server answers."""
    ours = str(place.address)

    def is_other(server: ForeignServer) -> bool:
        return server.gives_address and server.address != ours

    others = [one.address for one in await ask(place.interface, enough=is_other) if is_other(one)]
    if others:
        raise RefusedError(
            f"another DHCP server, {' and '.join(others)}, gives addresses on {place.interface}",
            "switch it off, or set IRONWAKE_DHCP_MODE=proxy to work beside it; where two with "
            "parted pools are meant: IRONWAKE_DHCP_BESIDE=yes",
            "IRONWAKE_DHCP_MODE",
        )
