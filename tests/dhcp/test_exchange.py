"""The whole service without sockets: datagrams in, datagrams and observations out."""

from __future__ import annotations

import dataclasses
import struct
from ipaddress import IPv4Address
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP

from ironwake.ipv4 import Network, Range
from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.machine import MachineUuid
from ironwake.report import Seen
from ironwake.subnet import Subnet
from ironwake.view import Index
from ironwake_dhcp.book import Lease
from ironwake_dhcp.delivery import EVERYONE, Datagram, Frame, Source, deliver
from ironwake_dhcp.exchange import Exchange, Lending, Outgoing
from ironwake_dhcp.lend import Lender
from ironwake_dhcp.offer import Door
from ironwake_dhcp.packet import Malformed, MessageType, Request, parse
from ironwake_dhcp.rehearse import discover
from ironwake_dhcp.reply import Content, Reply
from ironwake_dhcp.sightings import Sightings, describe
from ironwake_testing.captures import requests
from tests.dhcp import rack

NOBODY = IPv4Address(0)
ROUTER = IPv4Address("10.77.0.254")
HERE = IPv4Address("10.77.0.163")
SERVER = Source(NOBODY, 68, Door.SERVER)
BOOT = Source(HERE, 4011, Door.BOOT)


class House:
    """An exchange, what it reported, and a clock to turn."""

    def __init__(self, index: Index | None = None, lending: Lending | None = None) -> None:
        self.told: list[tuple[Seen, str, str, dict[str, str]]] = []
        self.exchange = Exchange(lambda *item: self.told.append(item), lending)
        self.now = 1000.0
        if index is not None:
            self.exchange.take(index)

    def hear(self, data: bytes, source: Source = SERVER) -> Outgoing | None:
        return self.exchange.receive(data, source, self.now)

    @property
    def seen(self) -> list[Seen]:
        return [item[0] for item in self.told]


def ask(
    kind: MessageType = MessageType.DISCOVER,
    *options: tuple[int, bytes],
    firmware: object = rack.EDK2,
    mac: Mac = rack.NODE,
) -> bytes:
    """A request of our node, with more options."""
    data = discover(mac, firmware)[:-1]  # type: ignore[arg-type]
    head, tail = data[:242], data[243:]
    more = b"".join(bytes((code, len(value))) + value for code, value in options)
    return head + bytes((kind,)) + tail + more + b"\xff"


TAKES_ROUTER = ask(MessageType.REQUEST, (50, HERE.packed), (54, ROUTER.packed))


def test_without_a_view_there_is_silence() -> None:
    """Until the controller has spoken once, nobody is booted and nothing is reported."""
    house = House()
    assert house.hear(ask()) is None
    assert house.told == []
    assert house.exchange.counts == {"no view yet": 1}


def test_an_armed_machine_is_offered_and_that_is_told_once() -> None:
    """edk2's repeats at 4, 12 and 28 seconds are answered each; the timeline gets news only."""
    house = House(rack.armed())
    first = house.hear(ask())
    assert first is not None
    house.now += 4
    assert house.hear(ask()) == first
    assert house.seen == [Seen.OFFERED]
    house.now += 8
    house.hear(ask())
    assert house.seen == [Seen.OFFERED, Seen.OFFERED]


def test_an_offer_is_told_with_the_plan_and_the_firmware() -> None:
    """The observation names the plan by its hash, and what the firmware said about itself."""
    index = rack.armed()
    uuid = b"\0" + bytes.fromhex("0e2e0e2e770000400000525400770010")
    house = House(index)
    house.hear(ask(MessageType.DISCOVER, (97, uuid)))
    ((seen, mac, client, detail),) = house.told
    plan = index.resolve(rack.NODE, rack.EDK2)
    assert (seen, mac, client) == (Seen.OFFERED, rack.NODE, "")
    assert detail == {
        "message": "discover",
        "firmware": "uefi-amd64-pxe",
        "architecture": "7",
        "vendor_class": "PXEClient:Arch:00007:UNDI:003000",
        "uuid": "2e0e2e0e-0077-4000-0000-525400770010",
        "file": "sb/shimx64.efi",
        "reply": "offer",
        "port": "67",
        "personality": "direct",
        "plan": plan.led.digest,  # type: ignore[union-attr]
        "loader": "grub",
    }


def test_the_boot_servers_port_answers_and_learns_the_address() -> None:
    """The second leg on port 4011 comes from the client's own address, and goes back there."""
    house = House(rack.armed())
    outgoing = house.hear(ask(MessageType.REQUEST), BOOT)
    assert outgoing is not None
    assert outgoing.way == Datagram(HERE, 4011)
    assert BOOTP(outgoing.payload).file.rstrip(b"\0") == b"sb/shimx64.efi"
    assert house.seen == [Seen.OFFERED, Seen.ADDRESS]
    assert house.told[1][1:3] == (rack.NODE, str(HERE))


def test_a_request_to_another_server_teaches_the_address() -> None:
    """We are silent to it, and know from it which address the machine will have."""
    for index in (rack.armed(), rack.index(rack.entry(state=None))):
        house = House(index)
        assert house.hear(TAKES_ROUTER) is None
        assert house.told == [(Seen.ADDRESS, rack.NODE, str(HERE), {})]
        assert house.hear(TAKES_ROUTER) is None
        assert len(house.told) == 1


def test_a_known_address_is_no_news() -> None:
    """An address that stands in the view already is not reported again."""
    house = House(rack.index(rack.known_at(rack.entry(), str(HERE))))
    house.hear(TAKES_ROUTER)
    assert house.told == []


def test_strangers_addresses_are_not_collected() -> None:
    """Phones and laptops that nobody enrolled are none of our business."""
    house = House(rack.index())
    stranger = Mac("52:54:00:77:00:99")
    phone = dataclasses.replace(rack.BIOS)
    house.hear(TAKES_ROUTER.replace(rack.NODE.packed, stranger.packed))
    house.hear(ask(mac=stranger, firmware=phone).replace(b"PXEClient", b"android-d"))
    assert house.told == []


def test_another_machine_with_the_same_card_takes_no_address_over() -> None:
    """Names, and the claim, go by the address: a twin's is not told as the machine's."""
    own, other = (UUID(int=number) for number in (1, 2))
    known = rack.entry()
    machine = dataclasses.replace(known.machine, uuid=MachineUuid(str(own)))
    house = House(rack.index(dataclasses.replace(known, machine=machine)))
    takes = ((50, HERE.packed), (54, ROUTER.packed))
    house.hear(ask(MessageType.REQUEST, *takes, (97, b"\0" + other.bytes)))
    assert Seen.ADDRESS not in house.seen
    house.hear(ask(MessageType.REQUEST, *takes, (97, b"\0" + own.bytes)))
    assert Seen.ADDRESS in house.seen


def test_a_machine_that_is_not_armed_is_seen_with_the_reason() -> None:
    """Its DHCP moves `installed` on to the first boot, so it is told; it gets no answer."""
    house = House(rack.index(rack.entry(state=State.INSTALLED)))
    assert house.hear(ask()) is None
    ((seen, mac, _, detail),) = house.told
    assert (seen, mac) == (Seen.DHCP, rack.NODE)
    assert detail["reason"] == "node-0010 took its answers already and is installed"


def test_the_installed_systems_dhcp_is_seen_too() -> None:
    """It has no network boot firmware in it, and yet it is the machine that came up."""
    house = House(rack.index(rack.entry(state=State.INSTALLED)))
    assert house.hear(ask().replace(b"PXEClient", b"dhcpcd-10")) is None
    assert house.seen == [Seen.DHCP]


def test_an_unknown_network_boot_client_is_seen() -> None:
    """A machine that wants to boot and that nobody enrolled is worth a line."""
    house = House(rack.index())
    assert house.hear(ask()) is None
    assert house.seen == [Seen.DHCP]


def test_a_change_of_mind_is_told_at_once() -> None:
    """A new reason is news, however soon it comes."""
    house = House(rack.index(rack.entry(state=State.INSTALLING)))
    house.hear(ask())
    house.exchange.take(rack.index(rack.entry(state=State.INSTALLED), version=2))
    house.hear(ask())
    assert house.seen == [Seen.DHCP, Seen.DHCP]


def test_a_new_view_counts_from_the_next_packet_on() -> None:
    """Disarming is immediate: no template that was built before survives the decision."""
    house = House(rack.armed())
    assert house.hear(ask()) is not None
    house.exchange.take(rack.index(rack.entry(state=State.CANCELLED), version=2))
    assert house.hear(ask()) is None


def test_malformed_datagrams_are_counted_by_reason() -> None:
    """The reason comes out for the log, and adds up."""
    house = House(rack.armed())
    for data in (b"", b"x", ask()[:-1] + b"\x3c"):
        with pytest.raises(Malformed):
            house.hear(data)
    counts = {"malformed: too short": 2, "malformed: option cut off": 1}
    assert house.exchange.counts == counts


def test_a_sweep_of_made_up_cards_is_answered_by_nothing() -> None:
    """Ten thousand unknown and a thousand unarmed clients: no reply, and bounded memory."""
    macs = [Mac.from_bytes(struct.pack("!HI", 0x5254, n)) for n in range(10_000)]
    house = House(rack.index(*(rack.entry(mac, None) for mac in macs[:1000])))
    data = ask()
    for mac in macs:
        assert house.hear(data.replace(rack.NODE.packed, mac.packed)) is None
    assert house.exchange.counts == {"quiet": 10_000}


def test_recorded_requests_of_unarmed_machines_get_nothing() -> None:
    """Every recorded datagram, through either door: silence, for known and unknown machines."""
    for index in (rack.index(), rack.index(rack.entry(state=None))):
        house = House(index)
        for item in requests():
            assert house.hear(item.payload) is None
            assert house.hear(item.payload, BOOT) is None


@settings(max_examples=300)
@given(st.binary(max_size=700), st.booleans())
def test_only_malformed_comes_out(tail: bytes, boot: bool) -> None:
    """Whatever an armed machine's firmware appends, it is answered, ignored or malformed."""
    house = House(rack.armed())
    try:
        house.hear(ask()[:-1] + tail, BOOT if boot else SERVER)
    except Malformed:
        return
    assert sum(house.exchange.counts.values()) == 1


@pytest.mark.parametrize(
    ("changes", "source", "address", "way"),
    [
        ({"flags": 0, "broadcast": False}, SERVER, None, Frame(rack.NODE.packed, EVERYONE, 68)),
        ({"flags": 0, "broadcast": False}, SERVER, HERE, Frame(rack.NODE.packed, HERE, 68)),
        ({"broadcast": True}, SERVER, HERE, Frame(b"\xff" * 6, EVERYONE, 68)),
        ({"giaddr": ROUTER}, SERVER, None, Datagram(ROUTER, 67)),
        ({"ciaddr": HERE}, Source(HERE, 68, Door.SERVER), HERE, Datagram(HERE, 68)),
        # an address that somebody writes into a request is not sent to: it may be a victim's
        ({"ciaddr": HERE, "broadcast": False}, SERVER, None, Frame(rack.NODE.packed, EVERYONE)),
        ({}, BOOT, None, Datagram(HERE, 4011)),
        ({}, Source(HERE, 68, Door.BOOT), None, Datagram(HERE, 68)),
        (
            {"broadcast": True},
            Source(NOBODY, 4011, Door.BOOT),
            None,
            Frame(b"\xff" * 6, EVERYONE, 4011),
        ),
    ],
)
def test_the_way_of_a_reply(
    changes: dict[str, object],
    source: Source,
    address: IPv4Address | None,
    way: Frame | Datagram,
) -> None:
    """RFC 2131 4.1, for clients with and without an address, and PXE's own port."""
    request: Request = dataclasses.replace(parse(ask()), **changes)  # type: ignore[arg-type]
    reply = Reply(Content(MessageType.OFFER, ROUTER), address)
    assert deliver(request, reply, source) == way


def test_a_refusal_goes_to_everyone() -> None:
    """A client that may not use its address can't be reached at it (RFC 2131 4.1)."""
    request = dataclasses.replace(parse(ask()), ciaddr=HERE, broadcast=False)
    reply = Reply(Content(MessageType.NAK, ROUTER))
    way = deliver(request, reply, Source(HERE, 68, Door.SERVER))
    assert way == Frame(b"\xff" * 6, EVERYONE, 68)


def lending(keep: object) -> Lending:
    ours = IPv4Address(rack.ADDRESS)
    subnet = Subnet(Network("10.77.0.0/24"), (Range(f"{HERE}-{HERE}"),))
    return Lending(Lender(ours, (subnet,)), keep)  # type: ignore[arg-type]


def test_what_must_be_on_disk_first_is_named() -> None:
    """An ACK comes with the lease to keep; an offer is none. A declined address is told."""
    kept: list[Lease] = []
    house = House(rack.index(), lending(kept.append))
    assert house.hear(ask()) is not None
    assert kept == []
    assert house.hear(ask(MessageType.REQUEST, (50, HERE.packed))) is not None
    assert [lease.address for lease in kept] == [HERE]
    house.hear(ask(MessageType.DECLINE, (50, HERE.packed)))
    assert [lease.mac for lease in kept] == [rack.NODE, ""]
    assert Seen.CONFLICT in house.seen


def test_why_a_machine_gets_no_address_is_told() -> None:
    """An armed machine behind an unknown relay, or refused its address, was offered nothing."""
    house = House(rack.armed(), lending([].append))
    relayed = ask()
    assert house.hear(relayed[:24] + b"\x0a\x63\0\x01" + relayed[28:]) is None
    house.hear(ask(MessageType.REQUEST, (50, b"\x0a\x63\0\x02")))
    assert house.seen == [Seen.DHCP, Seen.DHCP]
    reasons = [detail["reason"] for _, _, _, detail in house.told]
    assert "10.99.0.1, which is in none of our subnets" in reasons[0]
    assert "10.99.0.2 is not this client's to have" in reasons[1]


def test_server_mode_reports_machines_and_their_addresses() -> None:
    """An unarmed machine that gets its address from us is seen, and so is the address."""
    kept: list[Lease] = []
    house = House(rack.index(rack.entry(state=None)), lending(kept.append))
    house.hear(ask())
    outgoing = house.hear(ask(MessageType.REQUEST, (50, HERE.packed), (54, b"\x0a\x4d\0\x01")))
    assert outgoing is not None
    assert BOOTP(outgoing.payload).yiaddr == str(HERE)
    assert [lease.address for lease in kept] == [HERE]
    assert house.seen == [Seen.DHCP, Seen.ADDRESS]


def test_what_clients_say_is_made_safe_to_show() -> None:
    """Control characters and non-ASCII in a client's own words arrive as escapes, and short."""
    nasty = b"<b>\x1b[2J\n\xff" + b"x" * 200
    said = describe(dataclasses.replace(parse(ask()), hostname=nasty, vendor_class=nasty))
    for text in (said["hostname"], said["vendor_class"]):
        assert text.startswith(r"<b>\x1b[2J\x0a\xff")
        assert len(text) == 80
        assert text.isprintable()


def test_sightings_stay_bounded() -> None:
    """A flood of cards pushes out the oldest: then it is news again, and memory is safe."""
    sightings = Sightings()
    assert sightings.is_news(Seen.DHCP, "first", "x", 0.0)
    assert not sightings.is_news(Seen.DHCP, "first", "x", 0.0)
    for number in range(5000):
        sightings.is_news(Seen.DHCP, str(number), "x", 0.0)
    assert sightings.is_news(Seen.DHCP, "first", "x", 0.0)


def test_a_deployment_is_whose_uuid_was_told_first() -> None:
    """Before the controller has told anyone: a twin gets nothing, whoever asked without a UUID."""
    house = House(rack.armed())
    mine = (97, b"\0" + bytes(range(16)))
    twin = (97, b"\0" + bytes(range(16, 32)))
    assert house.hear(ask()) is not None
    assert house.hear(ask(MessageType.DISCOVER, mine)) is not None
    assert house.hear(ask(MessageType.DISCOVER, twin)) is None
    assert house.hear(ask(MessageType.DISCOVER, mine)) is not None
