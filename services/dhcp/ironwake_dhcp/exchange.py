"""One datagram in, at most one out: the whole service without its sockets and clocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from ironwake.firmware import FIRMWARE
from ironwake.lifecycle import BOOTABLE
from ironwake.plan import BootPlan
from ironwake.report import Report, Seen
from ironwake.view import Entry, Index
from ironwake_dhcp import lend, offer
from ironwake_dhcp.delivery import Datagram, Frame, Source, deliver
from ironwake_dhcp.leases import Lease, Leases
from ironwake_dhcp.offer import Boot, Door
from ironwake_dhcp.packet import Malformed, MessageType, Request, parse
from ironwake_dhcp.reply import Quiet, Reply
from ironwake_dhcp.sightings import Sightings, describe
from ironwake_dhcp.template import Templates


@dataclass(frozen=True, slots=True)
class Now:
    """Both clocks: `steady` (monotonic) measures, `wall` dates what is kept."""

    steady: float
    wall: float


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Bytes and the way they take."""

    payload: bytes
    way: Frame | Datagram


@dataclass(frozen=True)
class Lending:
    """Server mode: how, from which book, and `keep`, which returns once a lease is on disk."""

    lender: lend.Lender
    leases: Leases
    keep: Callable[[Lease], None]


class Exchange:
    """Answers requests by the newest view. Without one it is silent: an empty house boots nobody.

    `counts` tells, by kind, what became of every datagram.
    """

    def __init__(self, report: Report, lending: Lending | None = None) -> None:
        self._report = report
        self._lending = lending
        self._templates = Templates()
        self._sightings = Sightings()
        self._prepared: set[str] = set()
        self._index: Index | None = None
        self.counts: Counter[str] = Counter()

    def take(self, index: Index) -> None:
        """Use this view from now on; a proxy's templates are built for what was newly armed."""
        self._index = index
        if self._lending is not None:
            return
        armed = {
            entry.deployment.id: entry
            for entry in index.view.entries
            if entry.deployment and entry.deployment.state in BOOTABLE
        }
        for name in armed.keys() - self._prepared:
            self._prepare(armed[name], index)
        self._prepared = set(armed)

    def receive(self, data: bytes, source: Source, now: Now) -> Outgoing | None:
        """The answer to one datagram, if any. Raises `Malformed`, and what `keep` raises."""
        try:
            request = parse(data)
        except Malformed as error:
            self.counts[f"malformed: {error.reason}"] += 1
            raise
        index = self._index
        if index is None:
            self.counts["no view yet"] += 1
            return None
        answer = self._answer(request, source.door, index, now)
        self._tell(request, source, answer, index, now.steady)
        if isinstance(answer, Quiet):
            self.counts["quiet"] += 1
            return None
        self.counts[answer.content.message_type.name.lower()] += 1
        payload = self._templates.payload(request, answer)
        return Outgoing(payload, deliver(request, answer, source))

    def _answer(self, request: Request, door: Door, index: Index, now: Now) -> Reply | Quiet:
        if self._lending is None or door is Door.BOOT:
            return offer.proxy(request, door, index)
        lending = self._lending
        outcome = lend.serve(request, index, lending.lender, lending.leases, now.wall)
        if outcome.changed is not None:
            lending.keep(outcome.changed)
        return outcome.answer

    def _prepare(self, entry: Entry, index: Index) -> None:
        for mac in entry.machine.macs:
            for firmware in FIRMWARE:
                plan = index.resolve(mac, firmware)
                if not isinstance(plan, BootPlan):
                    continue
                for kind in (MessageType.OFFER, MessageType.ACK):
                    self._templates.prepare(offer.content(Boot(firmware, plan), kind, index))

    def _tell(
        self,
        request: Request,
        source: Source,
        answer: Reply | Quiet,
        index: Index,
        now: float,
    ) -> None:
        """Report what was seen, once: the offer, or the machine that got none, and its address."""
        entry = index.by_mac(request.mac)
        if isinstance(answer, Reply) and answer.content.boot_file:
            self._tell_offer(request, answer, source.door, index, now)
        elif _starts_a_boot(request, source.door) and (entry or offer.identify(request)):
            detail = describe(request) | {"reason": answer.reason}
            if self._sightings.is_news(Seen.DHCP, request.mac, answer.reason, now):
                self._report(Seen.DHCP, request.mac, "", detail)
        address = _address(request, source, answer)
        if entry is None or address is None or entry.address == str(address):
            return
        if self._sightings.is_news(Seen.ADDRESS, request.mac, str(address), now):
            self._report(Seen.ADDRESS, request.mac, str(address), {})

    def _tell_offer(
        self, request: Request, answer: Reply, door: Door, index: Index, now: float
    ) -> None:
        detail = describe(request) | {
            "file": answer.content.boot_file,
            "reply": answer.content.message_type.name.lower(),
            "port": str(door.value),
        }
        about = " ".join(detail[key] for key in ("file", "reply", "firmware"))
        if not self._sightings.is_news(Seen.OFFERED, request.mac, about, now):
            return
        found = offer.boot(request, index)
        if isinstance(found, Boot):
            detail |= {"plan": found.plan.digest, "loader": found.plan.loader}
        self._report(Seen.OFFERED, request.mac, "", detail)


def _starts_a_boot(request: Request, door: Door) -> bool:
    """Whether this is a first word: DISCOVER, or a REQUEST for the address of the last time."""
    if request.message_type is MessageType.DISCOVER or door is Door.BOOT:
        return True
    fresh = request.server_id is None and request.ciaddr is None
    return request.message_type is MessageType.REQUEST and fresh


def _address(request: Request, source: Source, answer: Reply | Quiet) -> IPv4Address | None:
    """The address that the client has, or is about to get, as far as `request` tells."""
    if isinstance(answer, Reply) and answer.content.message_type is MessageType.NAK:
        return None
    if source.door is Door.BOOT:
        return request.ciaddr or (source.address if int(source.address) else None)
    if request.message_type is MessageType.REQUEST:
        return request.requested_address or request.ciaddr
    return request.ciaddr if request.message_type is MessageType.INFORM else None
