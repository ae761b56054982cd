"""Patched templates are, byte for byte, what scapy would have built for that very client."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from ironwake.mac import Mac
from ironwake.view import Index
from ironwake_dhcp.offer import Door
from ironwake_dhcp.packet import MessageType, Request, parse
from ironwake_dhcp.rehearse import discover, rehearse
from ironwake_dhcp.reply import Content, Reply, Terms
from ironwake_dhcp.template import Frames, Templates
from ironwake_testing.core import OWN_FIRMWARE
from tests.dhcp import rack

ADDRESSES = st.integers(1, 0xFFFFFFFE).map(IPv4Address)
MACS = st.binary(min_size=6, max_size=6).filter(lambda m: not m[0] & 1 and any(m))
OURS = IPv4Address(rack.ADDRESS)
TERMS = Terms(IPv4Address("255.255.255.0"), OURS, (OURS,), "ironwake.internal", 3600)
FORBIDDEN = {"subnet_mask", "router", "name_server", "lease_time", "renewal_time"}


def requests() -> st.SearchStrategy[Request]:
    """Clients that differ in everything a reply repeats."""
    return st.builds(
        Request,
        message_type=st.just(MessageType.DISCOVER),
        xid=st.integers(0, 0xFFFFFFFF),
        secs=st.integers(0, 0xFFFF),
        broadcast=st.booleans(),
        flags=st.integers(0, 0xFFFF),
        mac=MACS.map(Mac.from_bytes),
        ciaddr=st.none() | ADDRESSES,
        giaddr=st.none() | ADDRESSES,
        client_id=st.none() | st.binary(min_size=1, max_size=255),
        uuid=st.none() | st.binary(min_size=1, max_size=255),
        relay=st.none() | st.binary(min_size=1, max_size=300),
        selected=st.none() | ADDRESSES,
    )


# Option 43 as the personalities write it: none, "load it", a menu of one server, its choice.
DISCOVERY = (
    b"",
    bytes.fromhex("060108ff"),
    bytes.fromhex("06010308078000010a4d0001090b800008") + b"Ironwake" + b"\n\t\0Ironwake\xff",
    bytes.fromhex("470480000000ff"),
)


def contents() -> st.SearchStrategy[Content]:
    """Everything that can be said, in any combination."""
    names = st.text("abcxyz/.:-0189", min_size=1, max_size=200)
    return st.builds(
        Content,
        message_type=st.sampled_from([MessageType.OFFER, MessageType.ACK, MessageType.NAK]),
        server=ADDRESSES,
        vendor_class=st.sampled_from(["", "PXEClient", "HTTPClient"]),
        boot_file=st.just("") | names,
        discovery=st.sampled_from(DISCOVERY),
        terms=st.none()
        | st.builds(
            Terms,
            netmask=ADDRESSES,
            router=st.none() | ADDRESSES,
            name_servers=st.lists(ADDRESSES, max_size=3).map(tuple),
            domain=st.sampled_from(["", "ironwake.internal"]),
            seconds=st.none() | st.integers(60, 86400),
            ntp_servers=st.lists(ADDRESSES, max_size=2).map(tuple),
            static_routes=st.just(b"") | st.just(bytes.fromhex("100a630a4e00fe000a4e0001")),
        ),
    )


def built_by_scapy(request: Request, reply: Reply) -> bytes:
    """The whole reply by scapy alone, from the RFCs' words and not from our template."""
    content, terms = reply.content, reply.content.terms
    options: list[object] = [
        ("message-type", int(content.message_type)),
        ("server_id", str(content.server)),
    ]
    if content.vendor_class:
        options.append(("vendor_class_id", content.vendor_class))
    if content.discovery:
        options.append(("vendor_specific", content.discovery))
    if terms:
        options.append(("subnet_mask", str(terms.netmask)))
        if terms.router:
            options.append(("router", str(terms.router)))
        if terms.name_servers:
            options.append(("name_server", *[str(item) for item in terms.name_servers]))
        if terms.domain:
            options.append(("domain", terms.domain))
        if terms.ntp_servers:
            options.append(("NTP_server", *[str(item) for item in terms.ntp_servers]))
        if terms.static_routes:
            routes = ["10.99.0.0/16:10.78.0.254", "0.0.0.0/0:10.78.0.1"]
            options.append(("classless_static_routes", *routes))
        if terms.seconds is not None:
            options.append(("lease_time", terms.seconds))
            options.append(("renewal_time", terms.seconds // 2))
            options.append(("rebinding_time", terms.seconds * 7 // 8))
    if content.boot_file:
        options.append(("boot-file-name", content.boot_file))
    if content.overrides:
        options.append((175, b"\1\1\1"))  # its tag 1, one octet, priority 1
    refuses = content.message_type is MessageType.NAK
    if (terms or refuses) and request.client_id:
        options.append(("client_id", request.client_id))
    if request.uuid:
        options.append(("pxe_client_machine_identifier", request.uuid))
    if terms and request.selected:
        options.append(("subnet-selection", str(request.selected)))
    if request.giaddr and request.relay:
        for at in range(0, len(request.relay), 255):
            options.append((82, request.relay[at : at + 255]))
    packet = BOOTP(
        op=2,
        xid=request.xid,
        flags=request.flags | (0x8000 if refuses and request.giaddr else 0),
        ciaddr=str(request.ciaddr or "0.0.0.0") if terms else "0.0.0.0",
        yiaddr=str(reply.address or "0.0.0.0"),
        siaddr=str(content.server) if content.boot_file else "0.0.0.0",
        giaddr=str(request.giaddr or "0.0.0.0"),
        chaddr=request.mac.packed,
        file=content.boot_file.encode() if len(content.boot_file) < 128 else b"",
    ) / DHCP(options=[*options, "end"])
    return bytes(packet).ljust(300, b"\0")


@settings(max_examples=300)
@given(requests(), contents(), st.none() | ADDRESSES)
def test_patching_equals_building(
    request: Request, content: Content, address: IPv4Address | None
) -> None:
    """Whatever the client and the content, the patched template is scapy's own full build."""
    templates, reply = Templates(), Reply(content, address)
    assert templates.payload(request, reply) == built_by_scapy(request, reply)
    # and once more, from the template that is there already
    assert templates.payload(request, reply) == built_by_scapy(request, reply)


def options_of(payload: bytes) -> dict[str, object]:
    """Option names and values as scapy dissects them."""
    found = BOOTP(payload)[DHCP].options
    return {item[0]: item[1] for item in found if isinstance(item, tuple)}


@pytest.mark.parametrize("door", list(Door))
@pytest.mark.parametrize("firmware", OWN_FIRMWARE, ids=lambda row: row.name)
def test_proxy_replies_hold_no_address_and_no_terms(firmware: object, door: Door) -> None:
    """Never options 1, 3, 6, 51 and never an address from a proxy, for any firmware."""
    request = dataclasses.replace(
        parse(discover(rack.NODE, firmware)),  # type: ignore[arg-type]
        message_type=MessageType.DISCOVER if door is Door.SERVER else MessageType.REQUEST,
        uuid=b"\0" + bytes(range(16)),
    )
    reply = rack.proxied(request, door, rack.armed())
    assert isinstance(reply, Reply)
    payload = Templates().payload(request, reply)
    packet, options = BOOTP(payload), options_of(payload)
    assert not FORBIDDEN & options.keys()
    assert (packet.yiaddr, packet.ciaddr) == ("0.0.0.0", "0.0.0.0")
    assert (packet.siaddr, options["server_id"]) == (rack.ADDRESS, rack.ADDRESS)
    # shim takes its directory from the BOOTP field, other firmware reads the option only
    assert (
        packet.file.rstrip(b"\0") == options["boot-file-name"] == reply.content.boot_file.encode()
    )
    assert options["pxe_client_machine_identifier"] == request.uuid
    assert options["vendor_class_id"] == reply.content.vendor_class.encode()
    assert ("vendor_specific" in options) == bool(reply.content.discovery)


def test_a_long_url_stands_in_the_option_alone() -> None:
    """What does not fit the BOOTP field's 127 octets is not cut short there, but left out."""
    url = "http://10.77.0.1/" + "a" * 120
    content = Content(MessageType.OFFER, OURS, "HTTPClient", url)
    request = parse(discover(rack.NODE, rack.HTTP))
    payload = Templates().payload(request, Reply(content))
    assert BOOTP(payload).file.rstrip(b"\0") == b""
    assert options_of(payload)["boot-file-name"] == url.encode()


def test_an_over_long_identifier_is_not_echoed() -> None:
    """A client's split option 97 of over 255 octets is dropped, not cut: no reply can overflow."""
    request = dataclasses.replace(parse(discover(rack.NODE, rack.EDK2)), uuid=bytes(300))
    content = Content(MessageType.OFFER, OURS, "PXEClient", "x")
    payload = Templates().payload(request, Reply(content))
    assert "pxe_client_machine_identifier" not in options_of(payload)


@settings(max_examples=200)
@given(st.binary(max_size=600), MACS, ADDRESSES, ADDRESSES, st.integers(1, 65535))
def test_frames_equal_scapys(
    payload: bytes, mac: bytes, ours: IPv4Address, theirs: IPv4Address, port: int
) -> None:
    """The frame around a payload is scapy's own, with both checksums."""
    own = bytes.fromhex("265627d28739")
    frame = Frames(own, ours, 67).frame(payload, mac, theirs, port)
    expected = (
        Ether(src=own.hex(":"), dst=mac.hex(":"))
        / IP(src=str(ours), dst=str(theirs), id=0, ttl=64, flags="DF")
        / UDP(sport=67, dport=port)
        / payload
    )
    assert frame == bytes(expected)


def test_the_least_recently_used_template_goes_first() -> None:
    """The number of templates is bounded, however many contents there were."""
    templates = Templates(most=2)
    first, second, third = (Content(MessageType.OFFER, OURS, boot_file=name) for name in "abc")
    kept = templates.prepare(first)
    templates.prepare(second)
    assert templates.prepare(first) is kept
    templates.prepare(third)
    assert len(templates) == 2
    assert templates.prepare(first) is kept


@pytest.mark.parametrize("firmware", OWN_FIRMWARE, ids=lambda row: row.name)
def test_rehearsing_gives_the_services_own_bytes(firmware: object) -> None:
    """A dry run prints what the service sends to the same request, or says that it is silent."""
    request = discover(rack.NODE, firmware, xid=7)  # type: ignore[arg-type]
    index: Index = rack.armed()
    reply = rack.proxied(parse(request), Door.SERVER, index)
    assert isinstance(reply, Reply)
    assert rehearse(index, request) == built_by_scapy(parse(request), reply)
    assert rehearse(rack.index(), request) is None


def test_terms_are_written_for_server_mode() -> None:
    """An address comes with mask, router, name server, domain and the three times."""
    request = parse(discover(rack.NODE, rack.BIOS))
    content = Content(MessageType.ACK, OURS, terms=TERMS)
    payload = Templates().payload(request, Reply(content, IPv4Address("10.77.0.100")))
    assert BOOTP(payload).yiaddr == "10.77.0.100"
    options = options_of(payload)
    assert options["subnet_mask"] == "255.255.255.0"
    assert options["router"] == options["name_server"] == rack.ADDRESS
    assert options["domain"] == b"ironwake.internal"
    times = [options[name] for name in ("lease_time", "renewal_time", "rebinding_time")]
    assert times == [3600, 1800, 3150]
