"""Server mode: DORA for everyone, boot information for machines, `no` only where it is known."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address

import pytest

from ironwake.ipv4 import Address, Network, Range
from ironwake.mac import Mac
from ironwake.names import DomainName
from ironwake.subnet import Route, Subnet
from ironwake.view import Index
from ironwake_dhcp.delivery import Datagram, Source, deliver
from ironwake_dhcp.lend import Lender, Outcome, serve
from ironwake_dhcp.offer import Door, boot
from ironwake_dhcp.packet import MessageType, Request, parse
from ironwake_dhcp.rehearse import discover
from ironwake_dhcp.reply import Quiet, Reply, Terms
from tests.dhcp import rack

OURS = IPv4Address(rack.ADDRESS)
FIRST, LAST = IPv4Address("10.77.0.100"), IPv4Address("10.77.0.110")
TERMS = Terms(IPv4Address("255.255.255.0"), OURS, (OURS,), "ironwake.internal", 3600)
PHONE = parse(discover(rack.NODE, rack.BIOS))
PHONE = dataclasses.replace(PHONE, vendor_class=b"android-dhcp-14", arch=None)


RELAY = IPv4Address("10.78.0.1")
FAR = IPv4Address("10.78.0.20")
SUBNETS = (
    Subnet(Network("10.77.0.0/24"), (Range(f"{FIRST}-{LAST}"),), router=Address(str(OURS))),
    Subnet(
        Network("10.78.0.0/24"),
        (Range("10.78.0.20-10.78.0.20"), Range("10.78.0.90-10.78.0.99")),
        lease_seconds=600,
        router=Address("10.78.0.1"),
        dns=(Address("10.78.0.5"), Address("10.78.0.6")),
        ntp=(Address("10.78.0.7"),),
        domain=DomainName("far.example"),
        routes=(Route(Network("10.99.0.0/16"), Address("10.78.0.254")),),
        relays=(Address("172.16.0.1"),),
    ),
)


class Desk:
    """A server with its books, and a clock to turn."""

    def __init__(self, index: Index | None = None, *, authoritative: bool = True) -> None:
        self.index = index or rack.index()
        self.lender = Lender(OURS, SUBNETS, "ironwake.internal", authoritative=authoritative)
        self.lender.reserve(self.index)
        self.to_all = True
        self.now = 0.0

    def ask(self, request: Request, **changes: object) -> Outcome:
        changed = dataclasses.replace(request, **changes)  # type: ignore[arg-type]
        found = boot(changed, self.index)
        return serve(changed, found, self.lender, self.now, to_all=self.to_all)

    def reply(self, request: Request, **changes: object) -> Reply:
        answer = self.ask(request, **changes).answer
        assert isinstance(answer, Reply)
        return answer

    def quiet(self, request: Request, **changes: object) -> str:
        answer = self.ask(request, **changes).answer
        assert isinstance(answer, Quiet)
        return answer.reason


def reserved(address: str) -> Index:
    """A site where the node has a fixed address."""
    item = rack.entry(state=None)
    machine = dataclasses.replace(item.machine, reservations={str(rack.NODE): address})
    return rack.index(dataclasses.replace(item, machine=machine))


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
    assert [lease.address for lease in outcome.changed] == [FIRST]


def test_our_log_is_for_what_is_installed_now() -> None:
    """A telephone, and a machine that has nothing to do, would send theirs for ever."""
    armed, idle = Desk(rack.armed()), Desk(rack.index(rack.entry(state=None)))
    request = parse(discover(rack.NODE, rack.BIOS))
    for desk in (armed, idle):
        desk.lender.hears_logs = True
        phone = desk.reply(PHONE).content.terms
        assert phone == TERMS
    mine, none = armed.reply(request).content.terms, idle.reply(request).content.terms
    assert mine == dataclasses.replace(TERMS, log_server=OURS)
    assert none == TERMS


def test_an_offer_changes_nothing_on_disk() -> None:
    """Only what was acknowledged is a lease."""
    assert Desk().ask(PHONE).changed == ()


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
    other = dataclasses.replace(PHONE, mac=Mac("52:54:00:77:00:99"))
    assert desk.reply(other).address == FIRST


@pytest.mark.parametrize("wanted", ["10.77.0.50", "192.168.1.5", "10.77.0.1", "10.77.0.255"])
@pytest.mark.parametrize("authoritative", [True, False])
def test_no_is_said_only_with_authority(wanted: str, authoritative: bool) -> None:
    """Where other servers may be, a client that remembers a foreign address hears nothing."""
    outcome = Desk(authoritative=authoritative).ask(
        PHONE, message_type=MessageType.REQUEST, requested_address=IPv4Address(wanted)
    )
    assert isinstance(outcome.answer, Reply) == authoritative
    assert outcome.changed == ()
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
    assert released.changed
    desk.reply(PHONE, **renew)
    declined = desk.ask(PHONE, message_type=MessageType.DECLINE, requested_address=FIRST)
    assert isinstance(declined.answer, Quiet)
    assert declined.changed
    assert declined.conflict == FIRST
    assert desk.reply(PHONE).address == IPv4Address("10.77.0.101")


def test_inform_gets_the_terms_and_no_lease() -> None:
    """INFORM is answered without an address and without lease times (RFC 2131 4.3.5)."""
    outcome = Desk().ask(PHONE, message_type=MessageType.INFORM, ciaddr=IPv4Address("10.77.0.7"))
    assert isinstance(outcome.answer, Reply)
    assert outcome.answer.address is None
    assert outcome.answer.content.terms == dataclasses.replace(TERMS, seconds=None)
    assert outcome.changed == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"giaddr": IPv4Address("10.79.0.1")}, "in none of our subnets"),
        ({"giaddr": OURS}, "in our own name"),
        ({"giaddr": IPv4Address("10.78.0.255")}, "no relay's address"),
        ({"giaddr": IPv4Address("10.78.0.0")}, "no relay's address"),
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
    macs = [Mac.from_bytes(bytes((2, 0, 0, 0, 0, n))) for n in range(12)]
    answers = [desk.ask(PHONE, mac=mac).answer for mac in macs]
    assert [isinstance(answer, Reply) for answer in answers] == [True] * 11 + [False]
    assert answers[-1] == Quiet("the pool is used up")


def test_the_relay_chooses_the_subnet() -> None:
    """A relayed client gets an address and the terms of its own network (RFC 2131 4.3.1)."""
    offered = Desk().reply(PHONE, giaddr=RELAY)
    assert offered.address == FAR
    assert offered.content.terms == Terms(
        IPv4Address("255.255.255.0"),
        RELAY,
        (IPv4Address("10.78.0.5"), IPv4Address("10.78.0.6")),
        "far.example",
        600,
        (IPv4Address("10.78.0.7"),),
        bytes.fromhex("100a630a4e00fe000a4e0001"),
    )


def test_selections_come_before_the_relays_own_address() -> None:
    """Link selection, then subnet selection, then `giaddr` (RFC 3527, RFC 3011)."""
    desk = Desk()
    elsewhere = IPv4Address("172.16.0.1")
    near, far = NEAR_NET, FAR_NET
    assert desk.reply(PHONE, giaddr=elsewhere, link=far).address == FAR
    assert desk.reply(PHONE, giaddr=elsewhere, link=far, selected=near).address == FAR
    assert desk.reply(PHONE, giaddr=RELAY, selected=near).address == FIRST
    assert desk.reply(PHONE, selected=far).address == FAR
    assert desk.reply(PHONE, giaddr=RELAY, link=near).address == FIRST
    # Without a relay, nobody vouches for option 82.
    assert desk.reply(PHONE, link=far).address == FIRST
    assert "in none of our subnets" in desk.quiet(PHONE, giaddr=RELAY, link=elsewhere)


NEAR_NET, FAR_NET = IPv4Address("10.77.0.0"), IPv4Address("10.78.0.0")


def test_the_answer_goes_to_the_relay_whatever_was_selected() -> None:
    """The link says which subnet, `giaddr` where the relay is reached (RFC 3527 section 3)."""
    outside = IPv4Address("172.16.0.1")
    request = dataclasses.replace(PHONE, giaddr=outside, link=FAR_NET)
    for kind in (MessageType.DISCOVER, MessageType.REQUEST):
        asked = dataclasses.replace(request, message_type=kind, requested_address=FAR)
        reply = Desk().reply(asked)
        assert reply.address == FAR
        assert deliver(asked, reply, Source(outside, 67, Door.SERVER)) == Datagram(outside, 67)


@pytest.mark.parametrize(
    ("relay", "selection", "reason"),
    [
        ("198.51.100.9", {"link": FAR_NET}, "198.51.100.9 is no relay's address that we know"),
        ("198.51.100.9", {"selected": FAR_NET}, "198.51.100.9 is no relay's address"),
        ("172.16.0.1", {"link": NEAR_NET}, "172.16.0.1 is no relay's address"),
        ("172.16.0.1", {}, "in none of our subnets"),
        ("10.77.0.255", {"link": FAR_NET}, "10.77.0.255 is no relay's address"),
    ],
)
@pytest.mark.parametrize("kind", [MessageType.DISCOVER, MessageType.REQUEST, MessageType.INFORM])
def test_nobody_has_us_send_to_any_address(
    relay: str, selection: dict[str, IPv4Address], reason: str, kind: MessageType
) -> None:
    """Who names a subnet of ours is not a relay for that: it lies in one, or is told for it."""
    asked = {"message_type": kind, "ciaddr": FAR, "requested_address": FAR}
    said = Desk().quiet(PHONE, giaddr=IPv4Address(relay), **selection, **asked)
    assert reason in said


def test_a_renewal_from_afar_is_for_the_address_it_names() -> None:
    """It comes past the relay, to us alone; the same as a broadcast is a client that has moved."""
    desk = Desk()
    desk.reply(PHONE, giaddr=RELAY)
    chosen = {"message_type": MessageType.REQUEST, "server_id": OURS, "requested_address": FAR}
    desk.reply(PHONE, giaddr=RELAY, **chosen)
    renew = {"message_type": MessageType.REQUEST, "ciaddr": FAR}
    desk.to_all = False
    renewed = desk.reply(PHONE, **renew)
    assert renewed.content.message_type is MessageType.ACK
    assert renewed.content.terms is not None
    assert renewed.content.terms.seconds == 600
    desk.to_all = True
    assert desk.reply(PHONE, **renew).content.message_type is MessageType.NAK


def test_the_wrong_network_is_refused_through_the_relay() -> None:
    """A client that was moved is told `no` at once, so that it asks anew (RFC 2131 4.3.2)."""
    desk = Desk()
    back = {"message_type": MessageType.REQUEST, "requested_address": FIRST}
    assert desk.reply(PHONE, giaddr=RELAY, **back).content.message_type is MessageType.NAK
    other = Desk(authoritative=False)
    assert "no lease of ours" in other.quiet(PHONE, giaddr=RELAY, **back)


def test_a_stranger_with_a_memory_is_left_alone_without_authority() -> None:
    """An address that would be free may be another server's lease (RFC 2131 4.3.2)."""
    back = {"message_type": MessageType.REQUEST, "requested_address": FIRST}
    assert "no lease of ours" in Desk(authoritative=False).quiet(PHONE, **back)
    known = Desk(authoritative=False)
    known.reply(PHONE, **back, server_id=OURS)
    assert known.reply(PHONE, **back).content.message_type is MessageType.ACK


def test_a_machine_gets_its_reserved_address() -> None:
    """Outside of the pool, too; a client that remembers another one is sent to it when it boots."""
    desk = Desk(reserved("10.77.0.5"))
    assert desk.reply(PHONE).address == IPv4Address("10.77.0.5")
    back = {"message_type": MessageType.REQUEST, "requested_address": FIRST}
    assert desk.reply(PHONE, **back).content.message_type is MessageType.NAK
    fixed = {**back, "requested_address": IPv4Address("10.77.0.5")}
    assert desk.reply(PHONE, **fixed).content.message_type is MessageType.ACK


def test_a_renewal_goes_on_beside_a_new_reservation() -> None:
    """A machine at work keeps its address until it boots the next time."""
    desk = Desk()
    renew = {"message_type": MessageType.REQUEST, "ciaddr": FIRST}
    desk.reply(PHONE, **renew)
    desk.lender.reserve(reserved("10.77.0.5"))
    assert desk.reply(PHONE, **renew).content.message_type is MessageType.ACK
    back = {"message_type": MessageType.REQUEST, "requested_address": FIRST}
    outcome = desk.ask(PHONE, **back)
    assert isinstance(outcome.answer, Reply)
    assert outcome.answer.content.message_type is MessageType.NAK
    assert [lease.expires for lease in outcome.changed] == [0.0]  # and the old one is free


def test_a_reserved_address_is_taken_back_at_the_renewal() -> None:
    """Whoever had it by chance is refused; its owner gets it once that one has taken another.

    Not before: a refusal can get lost, and who renews uses its address meanwhile.
    """
    desk = Desk()
    other = Mac("52:54:00:77:00:99")
    desk.reply(PHONE, mac=other, message_type=MessageType.REQUEST, requested_address=FIRST)
    desk.lender.reserve(reserved(str(FIRST)))
    assert desk.reply(PHONE).address != FIRST
    renew = {"mac": other, "message_type": MessageType.REQUEST, "ciaddr": FIRST}
    assert desk.reply(PHONE, **renew).content.message_type is MessageType.NAK
    assert desk.reply(PHONE).address != FIRST
    asked = {"mac": other, "message_type": MessageType.REQUEST, "server_id": OURS}
    desk.reply(PHONE, **asked, requested_address=desk.reply(PHONE, mac=other).address)
    assert desk.reply(PHONE).address == FIRST


def test_the_hostname_is_kept_as_a_label() -> None:
    """What a client calls itself becomes a DNS label, or nothing."""
    asked = {"message_type": MessageType.REQUEST, "requested_address": FIRST}
    for said, kept in ((b"Anna's Phone.lan\0", "anna-s-phone"), (b"\xff\xfe", ""), (None, "")):
        outcome = Desk().ask(PHONE, hostname=said, **asked)
        assert [lease.hostname for lease in outcome.changed] == [kept]


def test_a_decline_for_another_server_is_not_ours() -> None:
    """Two servers beside each other: option 54 says whose address was found in use."""
    desk = Desk()
    desk.reply(PHONE, message_type=MessageType.REQUEST, requested_address=FIRST)
    declined = {"message_type": MessageType.DECLINE, "requested_address": FIRST}
    outcome = desk.ask(PHONE, server_id=IPv4Address("10.77.0.9"), **declined)
    assert outcome.changed == ()
