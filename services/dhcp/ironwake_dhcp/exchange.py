"""One datagram in, at most one out: the whole service without its sockets and clocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TypeGuard

from ironwake.firmware import FIRMWARE, Firmware
from ironwake.lifecycle import BOOTABLE, State
from ironwake.personality import Personality
from ironwake.plan import BootPlan, Led
from ironwake.report import Report, Seen
from ironwake.view import Entry, Index
from ironwake_dhcp import lend, offer
from ironwake_dhcp.attempts import Attempts
from ironwake_dhcp.book import Lease
from ironwake_dhcp.delivery import Datagram, Frame, Source, deliver
from ironwake_dhcp.offer import Boot, Door
from ironwake_dhcp.packet import Malformed, MessageType, Request, parse
from ironwake_dhcp.reply import Quiet, Reply
from ironwake_dhcp.sightings import Sightings, describe, uuid_of
from ironwake_dhcp.template import Templates

# It has asked for more than an offer: its firmware took the last one.
_WENT_ON = frozenset({State.LOADER, State.KERNEL})


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
    """Server mode: how, and `keep`, which notes a lease that must be on disk before the answer."""

    lender: lend.Lender
    keep: Callable[[Lease], None]


@dataclass(frozen=True, slots=True)
class Answered:
    """What was decided about booting, and what was said."""

    found: Boot | Quiet
    answer: Reply | Quiet


class Exchange:
    """Answers requests by the newest view. Without one it is silent: an empty house boots nobody.

    `counts` tells, by kind, what became of every datagram.
    """

    def __init__(self, report: Report, lending: Lending | None = None) -> None:
        self._report = report
        self._lending = lending
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
        try:
            request = parse(data)
        except Malformed as error:
            self.counts[f"malformed: {error.reason}"] += 1
            raise
        index = self._index
        if index is None:
            self.counts["no view yet"] += 1
            return None
        found = self._boot(request, source.door, index, now.steady)
        answer = self._answer(request, source, found, now)
        self._tell(request, source, Answered(found, answer), index, now.steady)
        if isinstance(answer, Quiet):
            self.counts["quiet"] += 1
            return None
        self.counts[answer.content.message_type.name.lower()] += 1
        payload = self._templates.payload(request, answer)
        return Outgoing(payload, deliver(request, answer, source))

    def _answer(
        self, request: Request, source: Source, found: Boot | Quiet, now: Now
    ) -> Reply | Quiet:
        if self._lending is None or source.door is Door.BOOT:
            return offer.proxy(request, source.door, self._ours, found)
        lending = self._lending
        to_all = source.to_all
        outcome = lend.serve(request, found, lending.lender, now.wall, to_all=to_all)
        for lease in outcome.changed:
            lending.keep(lease)
        if outcome.conflict is not None:
            detail = {"address": str(outcome.conflict), "reason": "a client found it in use"}
            self._report(Seen.CONFLICT, request.mac, "", detail)
        return outcome.answer

    def _boot(self, request: Request, door: Door, index: Index, now: float) -> Boot | Quiet:
        """Whether the client is offered a loader, and in which shape by now."""
        entry = index.by_mac(request.mac)
        deployment = entry.deployment if entry else None
        if door is Door.BOOT or (deployment and deployment.state in _WENT_ON):
            self._attempts.went_on(request.mac)

        def choose(request: Request, firmware: Firmware, led: Led) -> Personality | Quiet:
            awaited = deployment is not None and deployment.state in BOOTABLE
            return self._attempts.choose(request, firmware, led, now, awaited=awaited)

        found = offer.boot(request, index, choose)
        if isinstance(found, Boot) and found.installs and deployment and not deployment.uuid:
            # Until the controller has told everyone whose deployment this is, the first has it.
            uuid = uuid_of(request)
            # One that tells none cannot be told apart, and does not make it anybody's.
            if uuid and self._owners.setdefault(deployment.id, uuid) != uuid:
                return Quiet("another machine with this card was offered the deployment first")
        return found

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

    def _tell(
        self, request: Request, source: Source, answered: Answered, index: Index, now: float
    ) -> None:
        """Report what was seen, once: the offer, or the machine that got none, and its address."""
        entry = index.by_mac(request.mac)
        found, answer = answered.found, answered.answer
        if isinstance(found, Boot) and found.installs and _offers(answer):
            self._tell_offer(request, answer, found, source.door, now)
        elif _starts_a_boot(request, source.door) and (entry or offer.identify(request)):
            # Who gets no address from us gets no loader either, whatever was decided about it.
            lent = self._lending is None or _offers(answer)
            reason = found.reason if lent else answer.reason
            detail = describe(request) | {"reason": reason}
            if isinstance(found, Boot):
                detail["loader"] = found.led.loader
            if self._sightings.is_news(Seen.DHCP, request.mac, reason, now):
                self._report(Seen.DHCP, request.mac, "", detail)
        address = _address(request, source, answer)
        if entry is None or address is None or entry.address == str(address):
            return
        subject = index.subject(request.mac)
        if subject is not None and subject.is_another(uuid_of(request)):
            return  # names, and the claim, must not follow another machine with the same card
        if self._sightings.is_news(Seen.ADDRESS, request.mac, str(address), now):
            self._report(Seen.ADDRESS, request.mac, str(address), {})

    def _tell_offer(
        self, request: Request, answer: Reply, found: Boot, door: Door, now: float
    ) -> None:
        detail = describe(request) | {
            "file": found.led.first_file,
            "reply": answer.content.message_type.name.lower(),
            "port": str(door.value),
            "personality": str(found.personality),
        }
        about = " ".join(detail[key] for key in ("file", "reply", "firmware", "personality"))
        if self._sightings.is_news(Seen.OFFERED, request.mac, about, now):
            detail |= {"plan": found.led.digest, "loader": found.led.loader}
            if found.warning:
                detail["warning"] = found.warning
            self._report(Seen.OFFERED, request.mac, "", detail)


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
