"""Server mode put together: the books of all subnets, their journal, who tells of them, who tries.

Part of the composition root: built once, from settings.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from ipaddress import IPv4Address

from ironwake.errors import BrokenError, RefusedError
from ironwake.moment import Moment
from ironwake.report import Report, Seen
from ironwake.site import ForeignServer
from ironwake.subnet import Subnet
from ironwake_dhcp.ask_foreign import ask
from ironwake_dhcp.book import Lease
from ironwake_dhcp.exchange import Lending
from ironwake_dhcp.follow_subnets import Followed
from ironwake_dhcp.in_use import Prober
from ironwake_dhcp.journal import Journal
from ironwake_dhcp.lease_file import LeaseFile
from ironwake_dhcp.lend import Lender
from ironwake_dhcp.place import Place
from ironwake_dhcp.telling import Telling
from ironwake_runtime import clock as clocks
from ironwake_runtime import interfaces, subnets
from ironwake_runtime.clock import Clock
from ironwake_runtime.controller import ControllerClient
from ironwake_runtime.service import Log
from ironwake_runtime.settings import Settings

_SYSLOG = 514  # what option 7 means: it has addresses, and no port (RFC 2132 section 3.9)


@dataclass(frozen=True)
class Desk:
    """Everything that giving addresses takes."""

    lender: Lender
    journal: Journal
    telling: Telling
    followed: Followed | None
    log: Log
    clock: Clock

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

    def serve(self, known: tuple[Subnet, ...]) -> None:
        """Give addresses in these subnets from now on."""
        self.lender.serve(known)
        self.telling.tell_all()

    def work(
        self, where: Callable[[], Place], report: Report
    ) -> tuple[Coroutine[None, None, None], ...]:
        """What goes on beside the answers, until cancelled."""

        def found(changed: tuple[Lease, ...], address: IPv4Address, reason: str) -> None:
            self.keep_now(changed)
            report(Seen.CONFLICT, "", "", {"address": str(address), "reason": reason})

        prober = Prober(self.lender, where, found, self.clock.monotonic)
        follow = (self.followed.run(self.serve, self.log),) if self.followed else ()
        return self.telling.run(), prober.run(), *follow


async def open_desk(
    settings: Settings, place: Place, client: ControllerClient, log: Log, clock: Clock
) -> Desk:
    """All of server mode; its journal is open until it is closed.

    :raises InputError: subnets that can't be right
    :raises RefusedError: another DHCP server gives addresses here
    :raises BrokenError: the lease file can't be read or written
    """
    path = settings.dhcp_subnets
    followed = Followed(path) if path else None
    known = subnets.of(settings, interfaces.find(settings.interface).network)

    def now() -> Moment:
        return clocks.now(clock)

    file = LeaseFile(settings.state_dir / "dhcp" / "leases.jsonl", now)
    kept = file.load()
    if not settings.dhcp_beside:
        await _be_alone(place)
    authority = settings.dhcp_authoritative
    lender = Lender(
        place.address,
        known,
        settings.domain,
        authoritative=not settings.dhcp_beside if authority is None else authority,
        known=kept,
        hears_logs=settings.syslog_port == _SYSLOG,
    )
    strays = [lease for lease in lender.strays if lease.expires > clock.monotonic()]
    file.start((*strays, *(lease for book in lender.books for lease in book.all())))
    telling = Telling(client, lambda: lender.books, log, now)
    return Desk(lender, Journal(file), telling, followed, log, clock)


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
