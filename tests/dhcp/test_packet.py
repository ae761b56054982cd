"""The request walker: what real firmware sends is understood, everything else is `Malformed`."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP

from ironwake_dhcp.packet import MAX_SIZE, REASONS, Malformed, MessageType, parse
from ironwake_testing.captures import Datagram, everything, requests

REQUESTS = requests()
COOKIE = b"\x63\x82\x53\x63"


def datagram(
    options: bytes = b"\x35\x01\x01\xff",
    *,
    op: int = 1,
    htype: int = 1,
    hlen: int = 6,
    hops: int = 0,
    chaddr: bytes = bytes.fromhex("525400770010"),
    sname: bytes = b"",
    file: bytes = b"",
    cookie: bytes = COOKIE,
) -> bytes:
    """A request made by hand, well-formed unless an argument spoils it."""
    return (
        struct.pack("!BBBBIHH", op, htype, hlen, hops, 0x12345678, 0, 0)
        + bytes(16)
        + chaddr.ljust(16, b"\0")
        + sname.ljust(64, b"\0")
        + file.ljust(128, b"\0")
        + cookie
        + options
    )


def witness(payload: bytes) -> dict[str, object]:
    """What scapy reads in the same bytes."""
    packet = BOOTP(payload)
    named = {item[0]: item[1] for item in packet[DHCP].options if isinstance(item, tuple)}
    return {"packet": packet, **named}


@pytest.mark.parametrize("item", REQUESTS, ids=lambda item: f"{item.file}:{item.frame}")
def test_real_requests_are_read_as_scapy_reads_them(item: Datagram) -> None:
    """Every recorded request is understood, and scapy, an independent reader, agrees."""
    request, seen = parse(item.payload), witness(item.payload)
    packet = seen["packet"]
    assert isinstance(packet, BOOTP)
    assert request.xid == packet.xid
    assert request.secs == packet.secs
    assert request.flags == int(packet.flags)
    assert request.mac.packed == packet.chaddr[:6]
    assert request.message_type == seen["message-type"]
    assert request.vendor_class == seen.get("vendor_class_id")
    assert request.max_size == seen.get("max_dhcp_size")
    assert str(request.requested_address) == str(seen.get("requested_addr"))
    assert str(request.server_id) == str(seen.get("server_id"))
    assert request.parameters == bytes(seen.get("param_req_list", b""))  # type: ignore[call-overload]
    uuid = seen.get("pxe_client_machine_identifier")
    assert request.uuid == uuid
    arch = seen.get("pxe_client_architecture")
    assert request.arch == (None if arch is None else int.from_bytes(arch, "big"))  # type: ignore[arg-type]


def test_replies_are_not_requests() -> None:
    """A server's own datagrams, looped back to the port, are refused: no reply loop can form."""
    replies = [item for item in everything() if not item.is_request]
    assert replies
    for item in replies:
        with pytest.raises(Malformed, match="not a request"):
            parse(item.payload)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "too short"),
        (datagram()[:239], "too short"),
        (datagram().ljust(MAX_SIZE + 1, b"\0"), "too long"),
        (datagram(op=2), "not a request"),
        (datagram(op=0), "not a request"),
        (datagram(htype=6), "hardware address"),
        (datagram(hlen=16), "hardware address"),
        (datagram(hlen=0), "hardware address"),
        (datagram(chaddr=bytes(6)), "hardware address"),
        (datagram(chaddr=b"\xff" * 6), "hardware address"),
        (datagram(hops=17), "too many hops"),
        (datagram(cookie=bytes(4)), "magic cookie"),
        (datagram(b""), "no message type"),
        (datagram(b"\xff\x35\x01\x01"), "no message type"),
        (datagram(b"\x35"), "option cut off"),
        (datagram(b"\x35\x01"), "option cut off"),
        (datagram(b"\x35\x01\x01\x3c\xff"), "option cut off"),
        (datagram(b"\x35\x01\x01\x3c\x05PXE"), "option cut off"),
        (datagram(b"\x35\x00\xff"), "message type"),
        (datagram(b"\x35\x01\x00\xff"), "message type"),
        (datagram(b"\x35\x01\x09\xff"), "message type"),
        (datagram(b"\x35\x02\x01\x01\xff"), "message type"),
        (datagram(b"\x35\x01\x01\x35\x01\x03\xff"), "message type"),
        (datagram(b"\x35\x01\x01\x35\x01\x01\xff"), "message type"),
        (datagram(b"\x35\x01\x01\x32\x03\x0a\x00\x00\xff"), "option length"),
        (datagram(b"\x35\x01\x01\x36\x08" + bytes(8) + b"\xff"), "option length"),
        (datagram(b"\x35\x01\x01\x39\x01\x05\xff"), "option length"),
        (datagram(b"\x35\x01\x01\x5d\x03\x00\x00\x07\xff"), "option length"),
        (datagram(b"\x35\x01\x01\x5d\x00\xff"), "option length"),
        (datagram(b"\x35\x01\x01\x34\x01\x00\xff"), "overload"),
        (datagram(b"\x35\x01\x01\x34\x01\x04\xff"), "overload"),
        (datagram(b"\x35\x01\x01\x34\x02\x01\x01\xff"), "option length"),
        (datagram(b"\x35\x01\x01\x34\x01\x01\xff", file=b"\x34\x01\x02\xff"), "overload"),
        (datagram(b"\x35\x01\x01\x34\x01\x02\xff", sname=b"\x34\x01\x02\xff"), "overload"),
        (datagram(b"\x35\x01\x01\x34\x01\x01\xff", file=b"\x3c\xff"), "option cut off"),
        (datagram(b"\x35\x01\x01\x34\x01\x02\xff", sname=b"\x01" * 64), "option cut off"),
    ],
)
def test_hostile_datagrams_are_named(payload: bytes, reason: str) -> None:
    """Each way of being wrong has its own reason, so that a counter can tell them apart."""
    with pytest.raises(Malformed) as caught:
        parse(payload)
    assert caught.value.reason == reason
    assert reason in REASONS


def test_option_overload_reads_file_then_sname() -> None:
    """Options may go on in `file` and then in `sname` (RFC 2131 4.1, RFC 3396 5)."""
    request = parse(
        datagram(
            b"\x34\x01\x03\x3c\x03PXE\xff",
            file=b"\x35\x01\x01\x3c\x03Cli\xff",
            sname=b"\x3c\x03ent\xff",
        )
    )
    assert request.message_type is MessageType.DISCOVER
    assert request.vendor_class == b"PXEClient"


def test_file_and_sname_are_not_options_without_overload() -> None:
    """Leftovers in `file` and `sname` are no options unless option 52 says so."""
    request = parse(datagram(file=b"\x3c\x03PXE\xff", sname=b"\x35\x01\x03\xff"))
    assert request.vendor_class is None
    assert request.message_type is MessageType.DISCOVER


def test_split_options_are_joined() -> None:
    """One option in several pieces is one value (RFC 3396)."""
    pieces = b"".join(bytes((77, 200)) + bytes((number,)) * 200 for number in (1, 2))
    request = parse(datagram(b"\x35\x01\x01" + pieces + b"\xff"))
    assert request.user_class == b"\x01" * 200 + b"\x02" * 200


def test_missing_end_and_padding_are_tolerated() -> None:
    """Firmware that cuts the end option off, or pads between options, is still understood."""
    assert parse(datagram(b"\0\0\x35\x01\x01\0\x3c\x01P")).vendor_class == b"P"


def test_absent_addresses_are_none() -> None:
    """0.0.0.0 means `no address`, in the header and in options alike."""
    request = parse(datagram(b"\x35\x01\x01\x32\x04" + bytes(4) + b"\xff"))
    assert request.ciaddr is None
    assert request.giaddr is None
    assert request.requested_address is None


def survive(payload: bytes) -> None:
    """Parse; only `Malformed` with a known reason may come out."""
    try:
        parse(payload)
    except Malformed as error:
        assert error.reason in REASONS  # noqa: PT017 - not raising is as good


@settings(max_examples=500)
@given(st.binary(max_size=1600))
def test_any_bytes_parse_or_are_malformed(payload: bytes) -> None:
    """No bytes at all make the walker raise anything but `Malformed`."""
    survive(payload)


@settings(max_examples=500)
@given(st.binary(max_size=400), st.binary(max_size=128), st.binary(max_size=64))
def test_any_options_parse_or_are_malformed(options: bytes, file: bytes, sname: bytes) -> None:
    """Behind a sound header, arbitrary option areas stay inside the fence, overloaded ones too."""
    survive(datagram(options, file=file, sname=sname))
    survive(datagram(b"\x35\x01\x01\x34\x01\x03" + options, file=file, sname=sname))


def relayed(giaddr: bytes, options: bytes) -> bytes:
    """A request that came over a relay."""
    whole = datagram(b"\x35\x01\x01" + options + b"\xff")
    return whole[:24] + giaddr + whole[28:]


def test_a_relays_word_is_read() -> None:
    """Option 82 as it stands, its link selection, and the subnet selection."""
    agent = bytes.fromhex("0104636972630504 0a4e0000")
    request = parse(relayed(b"\x0a\x4d\0\xfe", b"\x52\x0c" + agent + b"\x76\x04\x0a\x4f\0\0"))
    assert request.relay == agent
    assert [str(request.giaddr), str(request.link), str(request.selected)] == [
        "10.77.0.254",
        "10.78.0.0",
        "10.79.0.0",
    ]
    plain = parse(relayed(b"\x0a\x4d\0\xfe", b"\x52\x03\x01\x01x"))
    assert (plain.link, plain.selected) == (None, None)


@pytest.mark.parametrize(
    ("giaddr", "options", "reason"),
    [
        (b"\xff\xff\xff\xff", b"", "relay address"),
        (b"\xe0\0\0\x01", b"", "relay address"),
        (b"\x7f\0\0\x01", b"", "relay address"),
        (b"\0\0\0\x01", b"", "relay address"),
        (b"\x0a\x4d\0\xfe", b"\x52\x05\x05\x03\x0a\x4e\x00", "option length"),
        (b"\x0a\x4d\0\xfe", b"\x52\x05\x05\x04\x0a\x4e\x00", "option length"),
        (b"\x0a\x4d\0\xfe", b"\x76\x03\x0a\x4e\x00", "option length"),
    ],
)
def test_a_relay_that_makes_no_sense_is_named(giaddr: bytes, options: bytes, reason: str) -> None:
    """Replies would go to addresses that no relay can have, or for a network that is none."""
    with pytest.raises(Malformed) as caught:
        parse(relayed(giaddr, options))
    assert caught.value.reason == reason


@given(st.binary(max_size=40))
def test_any_option_82_parses_or_is_malformed(agent: bytes) -> None:
    """A relay's suboptions may be cut off anywhere."""
    survive(relayed(b"\x0a\x4d\0\xfe", bytes((82, len(agent))) + agent))
