"""One datagram in, at most one out: the whole service without its sockets and clocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NamedTuple, TypeGuard

from ironwake.firmware import FIRMWARE
from ironwake.lifecycle import BOOTABLE, State
from ironwake.plan import BootPlan, Subject
from ironwake.report import Report, Seen
from ironwake.view import Entry, Index
from ironwake_dhcp import lend, offer
from ironwake_dhcp.attempts import Attempts
from ironwake_dhcp.book import Lease
from ironwake_dhcp.case import Case, Cases, News, Said
from ironwake_dhcp.delivery import Datagram, Frame, Source, deliver
from ironwake_dhcp.offer import Boot, Door
from ironwake_dhcp.pace import Limits
from ironwake_dhcp.packet import XID, Malformed, MessageType, Request, parse
from ironwake_dhcp.reply import Quiet, Reply
from ironwake_dhcp.sightings import Sightings, describe
from ironwake_dhcp.template import Stencil, Templates

_ANOTHERS = Quiet("another machine with this card was offered the deployment first")


@dataclass(frozen=True, slots=True)
class Now:
    """Both clocks: `steady` (monotonic) measures, `wall` dates what is kept."""

    steady: float
    wall: float


class Outgoing(NamedTuple):
    """A reply to the transaction `xid`, and the way it takes."""

    stencil: Stencil
    xid: bytes

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

    def receive(self, data: bytes, source: Source, now: Now) -> Outgoing | None:
        """The answer to one datagram, if any. Raises `Malformed`.

        In server mode it may leave only when what `keep` was given meanwhile is on the disk.
        """
        if self._limits is not None:
            refused = self._limits.refused(data, now.steady)
            if refused:
                self.counts[refused] += 1
                return None
        case = self._cases.find(data, source) or self._study(data, source)
        if case is None:
            self.counts["no view yet"] += 1
            return None
        said = self._say(case, data[XID], now)
        for news in said.news:
            self._tell(case, news, now.steady)
        self.counts[said.count] += 1
        return None if said.stencil is None else Outgoing(said.stencil, data[XID])

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
        case = Case(request, source, index.by_mac(request.mac), found, uuid)
        self._cases.keep(data, source, case)
        return case

    def _say(self, case: Case, xid: bytes, now: Now) -> Said:
        """What becomes of it this time."""
        found = self._found(case, xid, now.steady)
        if self._lending is not None and case.source.door is Door.SERVER:
            # Addresses are another matter each time.
            return self._saying(case, found, self._lend(case, found, self._lending, now))
        said = case.known(found)
        if said is None:
            answer = offer.proxy(case.request, case.source.door, self._ours, found)
            said = self._saying(case, found, answer)
            case.said.append(said)
        return said

    def _found(self, case: Case, xid: bytes, now: float) -> Boot | Quiet:
        """Whether the client is offered a loader, and in which shape by now."""
        if case.went_on:
            self._attempts.went_on(case.request.mac)
        chance = case.chance
        if isinstance(chance, Quiet):
            return chance
        personality = self._attempts.choose(
            case.request,
            chance.firmware,
            chance.led,
            now,
            awaited=case.awaited,
            xid=int.from_bytes(xid, "big"),
        )
        if isinstance(personality, Quiet):
            return personality
        # Until the controller has told everyone whose deployment this is, the first has it.
        if case.claims and self._owners.setdefault(case.claims, case.uuid) != case.uuid:
            return _ANOTHERS
        return case.boot(chance, personality)

    def _lend(self, case: Case, found: Boot | Quiet, lending: Lending, now: Now) -> Reply | Quiet:
        outcome = lend.serve(
            case.request, found, lending.lender, now.wall, to_all=case.source.to_all
        )
        for lease in outcome.changed:
            lending.keep(lease)
        if outcome.conflict is not None:
            detail = {"address": str(outcome.conflict), "reason": "a client found it in use"}
            self._report(Seen.CONFLICT, case.request.mac, "", detail)
        return outcome.answer

    def _saying(self, case: Case, found: Boot | Quiet, answer: Reply | Quiet) -> Said:
        news = tuple(self._news(case, found, answer))
        if isinstance(answer, Quiet):
            return Said(found, answer, "quiet", news, None)
        count = answer.content.message_type.name.lower()
        way = deliver(case.request, answer, case.source)
        stencil = self._templates.stencil(case.request, answer, way)
        return Said(found, answer, count, news, stencil)

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

    def _tell(self, case: Case, news: News, now: float) -> None:
        """Report what was seen, once."""
        mac, stranger = case.request.mac, case.entry is None
        if self._sightings.is_news(news.seen, mac, news.about, now, stranger=stranger):
            self._report(news.seen, mac, news.client, news.detail())

    def _news(self, case: Case, found: Boot | Quiet, answer: Reply | Quiet) -> Iterator[News]:
        """The offer, or the machine that got none, and its address."""
        request, door, entry = case.request, case.source.door, case.entry
        if isinstance(found, Boot) and found.installs and _offers(answer):
            yield _offer_made(request, answer, found, door)
        elif _starts_a_boot(request, door) and (entry or offer.identify(request)):
            # Who gets no address from us gets no loader either, whatever was decided about it.
            lent = self._lending is None or _offers(answer)
            reason = found.reason if lent else answer.reason
            loader = {"loader": found.led.loader} if isinstance(found, Boot) else {}
            yield News(
                Seen.DHCP, reason, "", lambda: describe(request) | {"reason": reason} | loader
            )
        address = _address(request, case.source, answer)
        if entry is None or address is None or entry.address == str(address):
            return
        subject = Subject(entry.machine, entry.deployment, entry.memory)
        # Names, and the claim, must not follow another machine with the same card.
        if not subject.is_another(case.uuid):
            yield News(Seen.ADDRESS, str(address), str(address), dict)


def _offer_made(request: Request, answer: Reply, found: Boot, door: Door) -> News:
    said = {
        "file": found.led.first_file,
        "reply": answer.content.message_type.name.lower(),
        "firmware": found.firmware.name,
        "personality": str(found.personality),
    }

    def detail() -> dict[str, str]:
        more = {"port": str(door.value), "plan": found.led.digest, "loader": found.led.loader}
        warning = {"warning": found.warning} if found.warning else {}
        return describe(request) | said | more | warning

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
