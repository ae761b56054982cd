"""One datagram in, at most one out: the whole service without its sockets and clocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NamedTuple, TypeGuard

from ironwake.firmware import FIRMWARE
from ironwake.lifecycle import BOOTABLE, State
from ironwake.personality import Personality
from ironwake.plan import BootPlan, Subject
from ironwake.report import Report, Seen
from ironwake.view import Entry, Index
from ironwake_dhcp import lend, offer
from ironwake_dhcp.attempts import Attempts
from ironwake_dhcp.book import Lease
from ironwake_dhcp.case import Case, Cases, News, Said, Shape
from ironwake_dhcp.delivery import Datagram, Frame, Source, deliver
from ironwake_dhcp.offer import Boot, Door
from ironwake_dhcp.pace import Limits
from ironwake_dhcp.packet import SECS, XID, Malformed, MessageType, Request, parse
from ironwake_dhcp.reply import Quiet, Reply
from ironwake_dhcp.sightings import Sightings
from ironwake_dhcp.template import Stencil, Templates

# What is left out between them is the transaction's number, and the seconds.
_XID, _REST = XID.start, SECS.stop
_ANOTHERS = Quiet("another machine with this card was offered the deployment first")


class Outgoing(NamedTuple):
    """A reply to the transaction `xid`, and the way it takes.

    `waits`: a lease stands behind it, so it leaves when what `keep` was given is on the disk.
    """

    stencil: Stencil
    xid: bytes
    waits: bool = False

    @property
    def payload(self) -> bytes:
        return self.stencil.payload(self.xid)

    @property
    def way(self) -> Frame | Datagram:
        return self.stencil.way


@dataclass(frozen=True)
class Lending:
    """Server mode: how, and `keep`, which notes a lease that must be on disk before the answer."""

    lender: lend.Lender
    keep: Callable[[Lease], None]


class Exchange:
    """Answers requests by the newest view. Without one it is silent: an empty house boots nobody.

    `counts` tells, by kind, what became of every datagram. Without `limits`, all are looked at.
    """

    def __init__(
        self,
        report: Report,
        lending: Lending | None = None,
        limits: Limits | None = None,
        cases: Cases | None = None,
    ) -> None:
        self._report = report
        self._lending = lending
        self._limits = limits
        self._cases = Cases() if cases is None else cases
        self._templates = Templates()
        self._sightings = Sightings()
        self._attempts = Attempts()
        self._owners: dict[str, str] = {}  # deployment's id → UUID of who was offered it first
        self._ours = IPv4Address(0)
        self._prepared: set[str] = set()
        self._index: Index | None = None
        self.counts: Counter[str] = Counter()

    def take(self, index: Index) -> None:
        """Use this view from now on; a proxy's templates are built for what was newly armed."""
        self._index = index
        self._cases.clear()
        self._ours = IPv4Address(index.view.site.address)
        armed = {
            entry.deployment.id: entry
            for entry in index.view.entries
            if entry.deployment and entry.deployment.state in BOOTABLE
        }
        self._attempts.settle(lambda mac: _awaited(index.by_mac(mac)))
        self._owners = {name: uuid for name, uuid in self._owners.items() if name in armed}
        if self._lending is not None:
            self._lending.lender.reserve(index)
            return
        for name in armed.keys() - self._prepared:
            self._prepare(armed[name], index)
        self._prepared = set(armed)

    def receive(self, data: bytes, source: Source, now: float) -> Outgoing | None:
        """The answer to one datagram, if any; `now` by the steady clock. Raises `Malformed`."""
        if self._limits is not None:
            refused = self._limits.refused(data, now)
            if refused:
                self.counts[refused] += 1
                return None
        xid = data[XID]
        key = source.tag + data[:_XID] + data[_REST:]
        case = self._cases.known.get(key)
        if case is None:
            case = self._study(data, source)
            if case is None:
                self.counts["no view yet"] += 1
                return None
            self._cases.keep(key, case)
        said = self._say(case, self._shape(case, xid, now), now)
        for news in said.news:
            mac = case.request.mac
            if self._sightings.is_news(news.kind, mac, news.about, now, case.is_stranger):
                self._report(news.seen, mac, news.client, news.detail())
        self.counts[said.count] += 1
        return None if said.stencil is None else Outgoing(said.stencil, xid, said.waits)

    def _study(self, data: bytes, source: Source) -> Case | None:
        """All that the view says of a request. None without a view. Raises `Malformed`."""
        try:
            request = parse(data)
        except Malformed as error:
            self.counts[f"malformed: {error.reason}"] += 1
            raise
        index = self._index
        if index is None:
            return None
        uuid = offer.uuid_of(request)
        found = offer.chance(request, index, uuid)
        return Case(request, source, index.by_mac(request.mac), found, uuid)

    def _shape(self, case: Case, xid: bytes, now: float) -> Shape:
        """In which shape a loader is offered by now, or why none is."""
        request, chance = case.request, case.chance
        if case.went_on:
            self._attempts.went_on(request.mac)
        if isinstance(chance, Quiet):
            return chance
        number = int.from_bytes(xid, "big")
        shape = self._attempts.choose(
            request, chance.firmware, chance.led, now, case.awaited, number
        )
        # Until the controller has told everyone whose deployment this is, the first has it.
        if case.claims and isinstance(shape, Personality):
            first = self._owners.setdefault(case.claims, case.uuid)
            return shape if first == case.uuid else _ANOTHERS
        return shape

    def _say(self, case: Case, shape: Shape, now: float) -> Said:
        """What becomes of it this time. In server mode, addresses are another matter each time."""
        if self._lending is not None and case.source.door is Door.SERVER:
            found = case.found(shape)
            return self._lend(case, shape, found, self._lending, now)
        for said in case.said:
            if said.shape is shape:
                return said
        found = case.found(shape)
        answer = offer.proxy(case.request, case.source.door, self._ours, found)
        case.said.append(self._saying(case, shape, found, answer))
        return case.said[-1]

    def _lend(
        self, case: Case, shape: Shape, found: Boot | Quiet, lending: Lending, now: float
    ) -> Said:
        to_all = case.source.to_all
        outcome = lend.serve(case.request, found, lending.lender, now, to_all=to_all)
        for lease in outcome.changed:
            lending.keep(lease)
        if outcome.conflict is not None:
            detail = {"address": str(outcome.conflict), "reason": "a client found it in use"}
            self._report(Seen.CONFLICT, case.request.mac, "", detail)
        return self._saying(case, shape, found, outcome.answer, waits=bool(outcome.changed))

    def _saying(
        self,
        case: Case,
        shape: Shape,
        found: Boot | Quiet,
        answer: Reply | Quiet,
        *,
        waits: bool = False,
    ) -> Said:
        news = tuple(self._news(case, found, answer))
        if isinstance(answer, Quiet):
            return Said(shape, "quiet", news, None)
        count = answer.content.message_type.name.lower()
        way = deliver(case.request, answer, case.source)
        stencil = self._templates.stencil(case.request, answer, way)
        return Said(shape, count, news, stencil, waits)

    def _prepare(self, entry: Entry, index: Index) -> None:
        for mac in entry.machine.macs:
            for firmware in FIRMWARE:
                plan = index.resolve(mac, firmware)
                if not isinstance(plan, BootPlan):
                    continue
                for personality in plan.led.personalities:
                    found = Boot(firmware, plan.led, plan.reason, personality)
                    for kind in (MessageType.OFFER, MessageType.ACK):
                        self._templates.prepare(offer.content(found, kind, self._ours))

    def _news(self, case: Case, found: Boot | Quiet, answer: Reply | Quiet) -> Iterator[News]:
        """The offer, or the machine that got none, and its address."""
        request, door, entry = case.request, case.source.door, case.entry
        if isinstance(found, Boot) and found.installs and _offers(answer):
            yield _offer_made(case, answer, found, door)
        elif _starts_a_boot(request, door) and (entry or offer.identify(request)):
            # Who gets no address from us gets no loader either, whatever was decided about it.
            lent = self._lending is None or _offers(answer)
            reason = found.reason if lent else answer.reason
            loader = {"loader": found.led.loader} if isinstance(found, Boot) else {}
            yield News(Seen.DHCP, reason, "", lambda: case.describe() | {"reason": reason} | loader)
        address = _address(request, case.source, answer)
        if entry is None or address is None or entry.address == str(address):
            return
        subject = Subject(entry.machine, entry.deployment, entry.memory)
        # Names, and the claim, must not follow another machine with the same card.
        if not subject.is_another(case.uuid):
            yield News(Seen.ADDRESS, str(address), str(address), dict)


def _offer_made(case: Case, answer: Reply, found: Boot, door: Door) -> News:
    said = {
        "file": found.led.first_file,
        "reply": answer.content.message_type.name.lower(),
        "firmware": found.firmware.name,
        "personality": str(found.personality),
    }

    def detail() -> dict[str, str]:
        more = {"port": str(door.value), "plan": found.led.digest, "loader": found.led.loader}
        warning = {"warning": found.warning} if found.warning else {}
        return case.describe() | said | more | warning

    return News(Seen.OFFERED, " ".join(said.values()), "", detail)


def _offers(answer: Reply | Quiet) -> TypeGuard[Reply]:
    """Whether it is something that a client goes on with."""
    return isinstance(answer, Reply) and answer.content.message_type is not MessageType.NAK


def _awaited(entry: Entry | None) -> bool:
    """Whether the machine was offered a loader at most, and has not asked for it."""
    deployment = entry.deployment if entry else None
    return deployment is not None and deployment.state in (State.ARMED, State.OFFERED)


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
