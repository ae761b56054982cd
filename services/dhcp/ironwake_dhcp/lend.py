"""Server mode, for networks without DHCP: addresses for everyone, boot information for machines.

RFC 2131 section 4.3. What changes in the books of leases comes back beside the reply and must be on
disk before the reply leaves. Which subnet a client is in is told by, in this order: the relay's
link selection (RFC 3527), the subnet selection (RFC 3011), the relay's address; for a client that
has an address and speaks to us alone, that address; else the network of our own interface.

The answer to a relay goes to its `giaddr`, whatever was selected (RFC 2131 section 4.1). Requests
can be forged: only an address in one of our subnets, or one told as the relay of the chosen subnet,
is taken for a relay's, so that nobody has us send to anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from ironwake.mac import Mac
from ironwake.names import label_of
from ironwake.subnet import Subnet
from ironwake.view import Index
from ironwake_dhcp.book import Book, Lease
from ironwake_dhcp.offer import Boot, content
from ironwake_dhcp.packet import MessageType, Request
from ironwake_dhcp.reply import Content, Quiet, Reply, Terms


class Lender:
    """`books` has one book of leases for each subnet that is served now.

    `strays` are leases of none of them: a subnet that was taken out of the file, or mistyped in it,
    may come back.
    """

    def __init__(
        self,
        server: IPv4Address,
        subnets: Iterable[Subnet],
        domain: str = "",
        *,
        authoritative: bool = True,
        known: Iterable[Lease] = (),
        hears_logs: bool = False,
    ) -> None:
        """`server` is our address, `domain` the site's; `known` are the leases that there are.

        :param authoritative: no other server gives addresses on these networks
        :param hears_logs: our address takes syslog, on the port that option 7 means
        """
        self.server = server
        self.domain = domain
        self.authoritative = authoritative
        self.hears_logs = hears_logs
        self.books: tuple[Book, ...] = ()
        self.strays: tuple[Lease, ...] = tuple(known)
        self._reserved: Mapping[Mac, IPv4Address] = {}
        self._contents: dict[tuple[MessageType, Book, bool], Content] = {}
        self.serve(subnets)

    def serve(self, subnets: Iterable[Subnet]) -> None:
        """From now on the subnets are these; leases and reservations go with their addresses.

        What was offered in one that has changed may still be taken, as long as it is free.
        """
        self._contents.clear()
        known = (*self.strays, *(lease for book in self.books for lease in book.all()))
        same = {book.subnet: book for book in self.books}
        self.books = tuple(same.get(one) or Book(one, self.server, known) for one in subnets)
        self.strays = tuple(one for one in known if not any(b.has(one.address) for b in self.books))
        for book in self.books:
            book.reserve(self._reserved)

    @property
    def link(self) -> Book | None:
        """The book of our own link, if addresses are given there."""
        return self.book(self.server)

    def book(self, address: IPv4Address) -> Book | None:
        """The book of the subnet that has the address, or is called by it."""
        number = int(address)
        return next((book for book in self.books if number in book.numbers), None)

    def believes(self, relay: IPv4Address, book: Book) -> bool:
        """Whether `relay` may speak for clients of the book's subnet."""
        told = (one.ip for one in book.subnet.relays)
        return any(one.has(relay) for one in self.books) or relay in told

    def reserve(self, index: Index) -> None:
        """From now on the reservations are those of this view."""
        self.keep_for(
            {
                Mac(mac): IPv4Address(address)
                for entry in index.view.entries
                for mac, address in entry.machine.reservations.items()
            }
        )

    def keep_for(self, reserved: Mapping[Mac, IPv4Address]) -> None:
        """From now on these cards get these addresses, and nobody else does."""
        self._reserved = reserved
        for book in self.books:
            book.reserve(self._reserved)

    def content(self, kind: MessageType, book: Book, *, lends: bool) -> Content:
        """What is said to everyone in the subnet; `lends`: and it comes with an address."""
        key = (kind, book, lends)
        known = self._contents.get(key)
        if known is None:
            terms = self.terms(book, lends=lends)
            known = self._contents[key] = Content(kind, self.server, terms=terms)
        return known

    def terms(self, book: Book, *, lends: bool = True) -> Terms:
        """What goes with each address of the subnet."""
        told = book.subnet
        return Terms(
            netmask=book.network.netmask,
            router=told.router.ip if told.router else None,
            name_servers=tuple(one.ip for one in told.dns) or (self.server,),
            domain=str(told.domain or self.domain),
            seconds=told.lease_seconds if lends else None,
            ntp_servers=tuple(one.ip for one in told.ntp),
            static_routes=told.static_routes,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer, the leases that changed with it, and an address that is in wrong hands."""

    answer: Reply | Quiet
    changed: tuple[Lease, ...] = ()
    conflict: IPv4Address | None = None


@dataclass(frozen=True, slots=True)
class _Call:
    """One request at one server; `found`: whether the client also boots from the network."""

    request: Request
    found: Boot | Quiet
    lender: Lender
    now: float

    def reply(self, kind: MessageType, book: Book, address: IPv4Address | None) -> Reply:
        """Address and terms, and the loader for those that boot from the network now."""
        said = self.lender.content(kind, book, lends=address is not None)
        if isinstance(self.found, Boot):
            boots = content(self.found, kind, self.lender.server)
            said = replace(boots, terms=self._terms(said.terms, self.found))
        return Reply(said, address, self.found.reason)

    def _terms(self, terms: Terms | None, found: Boot) -> Terms | None:
        """Ours is the log server of what is installed now, and of nobody else: telephones and
        printers would take it, too."""
        if terms is None or not self.lender.hears_logs or not found.installs:
            return terms
        return replace(terms, log_server=self.lender.server)

    def refuse(self, reason: str, changed: tuple[Lease, ...] = ()) -> Outcome:
        return Outcome(Reply(Content(MessageType.NAK, self.lender.server), reason=reason), changed)


def serve(
    request: Request, found: Boot | Quiet, lender: Lender, now: float, *, to_all: bool = True
) -> Outcome:
    """The answer of a server that gives addresses; `found`: whether the client also boots.

    :param to_all: whether the request was a broadcast on our own network
    """
    call = _Call(request, found, lender, now)
    match request.message_type:
        case MessageType.RELEASE if request.ciaddr is not None:
            return _released(call, request.ciaddr)
        case MessageType.DECLINE if request.requested_address is not None:
            return _declined(call, request.requested_address)
    book = _book(request, lender, to_all)
    if isinstance(book, Quiet):
        return Outcome(book)
    match request.message_type:
        case MessageType.DISCOVER:
            return _discover(call, book)
        case MessageType.REQUEST:
            return _request(call, book)
        case MessageType.INFORM if request.ciaddr is not None:
            return Outcome(call.reply(MessageType.ACK, book, None))
    return Outcome(Quiet(f"{request.message_type.name} asks for nothing"))


def _book(request: Request, lender: Lender, to_all: bool) -> Book | Quiet:
    """The book of the client's subnet."""
    relay = request.giaddr
    if relay == lender.server:
        return Quiet("relayed in our own name")
    where = (request.link if relay else None) or request.selected or relay
    if where is None and request.ciaddr is not None and not to_all:
        where = request.ciaddr  # it renews from afar, past its relay (RFC 2131 section 4.4.5)
    book = lender.book(where or lender.server)
    if book is None and relay is not None:
        return Quiet(f"relayed by {relay} for {where}, which is in none of our subnets")
    if book is None:
        return Quiet(f"{where or lender.server} is in none of our subnets")
    if relay is not None and not lender.believes(relay, book):
        return Quiet(
            f"{relay} is no relay's address that we know: it is in none of our subnets, nor among "
            f"the relays of {book.network}"
        )
    return book


def _discover(call: _Call, book: Book) -> Outcome:
    address = book.offer(call.request.mac, call.request.requested_address, call.now)
    if address is None:
        return Outcome(Quiet("the pool is used up"))
    return Outcome(call.reply(MessageType.OFFER, book, address))


def _request(call: _Call, book: Book) -> Outcome:
    """Selecting, back from a reboot, renewing or rebinding (RFC 2131 section 4.3.2)."""
    request, ours = call.request, call.lender.server
    if request.server_id is not None and request.server_id != ours:
        for one in call.lender.books:
            one.forget_offer(request.mac)
        return Outcome(Quiet("addressed to another server"))
    address = request.requested_address or request.ciaddr
    if address is None:
        return Outcome(Quiet("names no address"))
    chosen = request.server_id == ours
    if not chosen and not call.lender.authoritative and not book.knows(request.mac):
        return Outcome(Quiet(f"{address} is no lease of ours"))
    reserved = book.reserved(request.mac)
    returning = request.ciaddr is None and not chosen
    if returning and reserved not in (None, address) and call.lender.authoritative:
        # At its next renewal it would be in the middle of its work; now it has not begun.
        return call.refuse(
            f"{reserved} is reserved for this client", book.release(request.mac, address, call.now)
        )
    name = label_of(request.hostname or b"")
    changed = book.bind(request.mac, address, call.now, name)
    if changed:
        return Outcome(call.reply(MessageType.ACK, book, address), changed)
    # A client that did not choose us is told `no` only where nobody else could say `yes`.
    if chosen or call.lender.authoritative:
        # Who renews asks again in minutes or hours only, and uses it until then if our `no` gets
        # lost: it ends when this client has taken another one, or by itself.
        renews = request.ciaddr is not None
        ended = () if renews else book.release(request.mac, address, call.now)
        return call.refuse(f"{address} is not this client's to have", ended)
    return Outcome(Quiet(f"{address} is no address of ours"))


def _released(call: _Call, address: IPv4Address) -> Outcome:
    book = call.lender.book(address)
    changed = book.release(call.request.mac, address, call.now) if book else ()
    return Outcome(Quiet("released its address"), changed)


def _declined(call: _Call, address: IPv4Address) -> Outcome:
    if call.request.server_id not in (None, call.lender.server):
        return Outcome(Quiet("declined another server's address"))
    book = call.lender.book(address)
    changed = book.decline(call.request.mac, address, call.now) if book else ()
    why = Quiet("declined its address: somebody else uses it")
    return Outcome(why, changed, address if changed else None)
