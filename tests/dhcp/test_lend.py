"""Server mode: DORA for everyone, boot information for machines, `no` only where it is known."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv4Network

import pytest

from ironwake.view import Index
from ironwake_dhcp.leases import Leases, Pool
from ironwake_dhcp.lend import Lender, Outcome, serve
from ironwake_dhcp.offer import boot
from ironwake_dhcp.packet import MessageType, Request, parse
from ironwake_dhcp.rehearse import discover
from ironwake_dhcp.reply import Quiet, Reply, Terms
from tests.dhcp import rack

OURS = IPv4Address(rack.ADDRESS)
FIRST, LAST = IPv4Address("10.77.0.100"), IPv4Address("10.77.0.110")
TERMS = Terms(IPv4Address("255.255.255.0"), OURS, (OURS,), "ironwake.internal", 3600)
PHONE = parse(discover(rack.NODE, rack.BIOS))
PHONE = dataclasses.replace(PHONE, vendor_class=b"android-dhcp-14", arch=None)


class Desk:
    """A server with its book, and a clock that stands still."""

    def __init__(self, index: Index | None = None, *, authoritative: bool = True) -> None:
        self.leases = Leases(Pool(IPv4Network("10.77.0.0/24"), FIRST, LAST, OURS))
        self.index = index or rack.index()
        self.lender = Lender(OURS, TERMS, authoritative)

    def ask(self, request: Request, **changes: object) -> Outcome:
        changed = dataclasses.replace(request, **changes)  # type: ignore[arg-type]
        return serve(changed, boot(changed, self.index), self.lender, self.leases, 0.0)

    def reply(self, request: Request, **changes: object) -> Reply:
        answer = self.ask(request, **changes).answer
        assert isinstance(answer, Reply)
        return answer


def test_anyone_gets_an_address_and_only_machines_a_loader() -> None:
    """DISCOVER, OFFER, REQUEST, ACK for a phone: an address with its terms, nothing to boot."""
    desk = Desk()
    offered = desk.reply(PHONE)
    assert (offered.content.message_type, offered.address) == (MessageType.OFFER, FIRST)
    outcome = desk.ask(
        PHONE, message_type=MessageType.REQUEST, server_id=OURS, requested_address=FIRST
    )
    assert isinstance(outcome.answer, Reply)
    assert outcome.answer.content.message_type is MessageType.ACK
    assert outcome.answer.content.terms == TERMS
    assert outcome.answer.content.boot_file == ""
    assert outcome.changed is not None
    assert outcome.changed.address == FIRST


def test_an_offer_changes_nothing_on_disk() -> None:
    """Only what was acknowledged is a lease."""
    assert Desk().ask(PHONE).changed is None


@pytest.mark.parametrize("firmware", [rack.BIOS, rack.EDK2, rack.HTTP, rack.IPXE])
def test_an_armed_machine_gets_its_loader_with_its_address(firmware: object) -> None:
    """OFFER and ACK of an armed machine name the loader; an unarmed one gets the address alone."""
    request = parse(discover(rack.NODE, firmware))  # type: ignore[arg-type]
    armed, unarmed = Desk(rack.armed()), Desk(rack.index(rack.entry(state=None)))
    for kind in (MessageType.DISCOVER, MessageType.REQUEST):
        asked = dataclasses.replace(request, message_type=kind, requested_address=FIRST)
        reply = armed.reply(asked)
        assert reply.content.boot_file
        assert (reply.address, reply.content.terms) == (FIRST, TERMS)
        plain = unarmed.reply(asked)
        assert (plain.content.boot_file, plain.content.vendor_class) == ("", "")
        assert plain.address == FIRST


def test_a_client_of_another_server_is_left_alone() -> None:
    """Its REQUEST gets no answer, and what we had offered it is free again."""
    desk = Desk()
    desk.reply(PHONE)
    outcome = desk.ask(
        PHONE, message_type=MessageType.REQUEST, server_id=IPv4Address("10.77.0.254")
    )
    assert outcome.answer == Quiet("addressed to another server")
    other = dataclasses.replace(PHONE, mac=type(rack.NODE)("52:54:00:77:00:99"))
    assert desk.reply(other).address == FIRST


@pytest.mark.parametrize("wanted", ["10.77.0.50", "192.168.1.5", "10.77.0.1", "10.77.0.255"])
@pytest.mark.parametrize("authoritative", [True, False])
def test_no_is_said_only_with_authority(wanted: str, authoritative: bool) -> None:
    """Where other servers may be, a client that remembers a foreign address hears nothing."""
    outcome = Desk(authoritative=authoritative).ask(
        PHONE, message_type=MessageType.REQUEST, requested_address=IPv4Address(wanted)
    )
    assert isinstance(outcome.answer, Reply) == authoritative
    assert outcome.changed is None
    if isinstance(outcome.answer, Reply):
        content = outcome.answer.content
        assert (content.message_type, content.terms) == (MessageType.NAK, None)
        assert outcome.answer.address is None


def test_who_chose_us_is_always_answered() -> None:
    """A client that names us gets `no` for an address that is not to be had, authority or not."""
    desk = Desk(authoritative=False)
    answer = desk.reply(
        PHONE,
        message_type=MessageType.REQUEST,
        server_id=OURS,
        requested_address=IPv4Address("10.77.0.50"),
    )
    assert answer.content.message_type is MessageType.NAK


def test_renewing_and_returning() -> None:
    """RENEW extends by `ciaddr`; RELEASE and DECLINE are noted and not answered."""
    desk = Desk()
    renew = {"message_type": MessageType.REQUEST, "ciaddr": FIRST}
    assert desk.reply(PHONE, **renew).content.message_type is MessageType.ACK
    released = desk.ask(PHONE, message_type=MessageType.RELEASE, ciaddr=FIRST)
    assert isinstance(released.answer, Quiet)
    assert released.changed is not None
    desk.reply(PHONE, **renew)
    declined = desk.ask(PHONE, message_type=MessageType.DECLINE, requested_address=FIRST)
    assert isinstance(declined.answer, Quiet)
    assert declined.changed is not None
    assert desk.reply(PHONE).address == IPv4Address("10.77.0.101")


def test_inform_gets_the_terms_and_no_lease() -> None:
    """INFORM is answered without an address and without lease times (RFC 2131 4.3.5)."""
    outcome = Desk().ask(PHONE, message_type=MessageType.INFORM, ciaddr=IPv4Address("10.77.0.7"))
    assert isinstance(outcome.answer, Reply)
    assert outcome.answer.address is None
    assert outcome.answer.content.terms == dataclasses.replace(TERMS, seconds=None)
    assert outcome.changed is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"giaddr": IPv4Address("10.78.0.1")}, "relayed"),
        ({"message_type": MessageType.REQUEST}, "names no address"),
        ({"message_type": MessageType.INFORM}, "asks for nothing"),
        ({"message_type": MessageType.RELEASE}, "asks for nothing"),
        ({"message_type": MessageType.DECLINE}, "asks for nothing"),
        ({"message_type": MessageType.OFFER}, "asks for nothing"),
        ({"message_type": MessageType.ACK}, "asks for nothing"),
    ],
)
def test_what_makes_no_sense_is_not_answered(changes: dict[str, object], reason: str) -> None:
    """Relays, and messages without what they need, or that only servers send."""
    answer = Desk().ask(PHONE, **changes).answer
    assert isinstance(answer, Quiet)
    assert reason in answer.reason


def test_a_used_up_pool_is_silent() -> None:
    """The twelfth client of a pool of eleven hears nothing; another server may have an address."""
    desk = Desk()
    macs = [type(rack.NODE).from_bytes(bytes((2, 0, 0, 0, 0, n))) for n in range(12)]
    answers = [desk.ask(PHONE, mac=mac).answer for mac in macs]
    assert [isinstance(answer, Reply) for answer in answers] == [True] * 11 + [False]
    assert answers[-1] == Quiet("the pool is used up")
