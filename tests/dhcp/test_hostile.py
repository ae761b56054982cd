"""What has ended DHCP servers before, by name: each is refused with its reason, or understood.

The whole service but its sockets, at every door and in both modes, judged as mutants are; and then
an honest client is answered as if nothing had been.
"""

from __future__ import annotations

import pytest

from ironwake.mac import Mac
from ironwake_dhcp.packet import MAX_SIZE, Malformed, parse
from ironwake_dhcp.rehearse import discover
from tests.dhcp import rack
from tests.dhcp.test_packet import datagram
from tests.fuzz.dhcp import ARMED, DOORS, Judged

CARD = min(ARMED)
KIND = b"\x35\x01\x01"
PXE = b"\x3c\x09PXEClient\x5d\x02\0\x07"


def said(options: bytes, **head: object) -> bytes:
    """A DISCOVER of an armed machine, PXE and all, with more options in front."""
    return datagram(KIND + options + PXE + b"\xff", chaddr=CARD, **head)  # type: ignore[arg-type]


def long_option(code: int, size: int) -> bytes:
    """One option of `size` octets in as many pieces as it needs (RFC 3396)."""
    pieces = (min(255, size - at) for at in range(0, size, 255))
    return b"".join(bytes((code, n)) + b"\x01" * n for n in pieces)


REFUSED = {
    # options that point past the end of what there is
    "length past the end": (
        datagram(KIND + b"\x3c\xff" + b"P" * 10, chaddr=CARD),
        "option cut off",
    ),
    "length of the last octet": (datagram(KIND + b"\x3c", chaddr=CARD), "option cut off"),
    "past the end of file": (
        said(b"\x34\x01\x01", file=b"\x3c\xff" + b"P" * 126),
        "option cut off",
    ),
    "past the end of sname": (
        said(b"\x34\x01\x02", sname=b"\0" * 62 + b"\x3c\x09"),
        "option cut off",
    ),
    # overload: loops, twice, and what is none
    "file says file": (said(b"\x34\x01\x01", file=b"\x34\x01\x01\xff"), "overload"),
    "file and sname say each other": (
        said(b"\x34\x01\x03", file=b"\x34\x01\x02\xff", sname=b"\x34\x01\x01\xff"),
        "overload",
    ),
    "overload twice": (said(b"\x34\x01\x01\x34\x01\x01", file=b"\xff"), "option length"),
    "overload of nothing": (said(b"\x34\x01\0"), "overload"),
    "overload of 255": (said(b"\x34\x01\xff"), "overload"),
    "overload without a value": (said(b"\x34\0"), "option length"),
    # lengths that are not those of the option
    "message type of no length": (datagram(b"\x35\0\xff", chaddr=CARD), "message type"),
    "message type in two pieces": (datagram(KIND + KIND + b"\xff", chaddr=CARD), "message type"),
    "server without an address": (said(b"\x36\0"), "option length"),
    "address of three octets": (said(b"\x32\x03\x0a\x4d\0"), "option length"),
    "address in pieces, one too many": (
        said(b"\x32\x03\x0a\x4d\0\x32\x02\x01\x01"),
        "option length",
    ),
    "architecture of no length": (datagram(KIND + b"\x5d\0\xff", chaddr=CARD), "option length"),
    "size of one octet": (said(b"\x39\x01\x05"), "option length"),
    # hardware that is no Ethernet
    **{
        f"hardware address of {size}": (said(b"", hlen=size), "hardware address")
        for size in (0, 1, 5, 7, 16, 17, 128, 255)
    },
    "Infiniband": (said(b"", htype=32, hlen=20), "hardware address"),
    "a group's address": (
        datagram(KIND + PXE + b"\xff", chaddr=b"\x01\0\x5e\0\0\x01"),
        "hardware address",
    ),
    "more than a frame": (said(long_option(61, 1300)), "too long"),
}

UNDERSTOOD = {
    # 312 octets are what a client must take at least (RFC 2131 section 2), and no limit
    "313 octets of options": said(long_option(43, 313)),
    "a kilobyte of options": said(long_option(43, 900)),
    "a frame full of options": said(long_option(43, 1170)).ljust(MAX_SIZE, b"\0"),
    "padding to the edge": said(b"").ljust(MAX_SIZE, b"\0"),
    "nothing but padding in front": said(b"\0" * 1100),
    "no end option": datagram(KIND + PXE, chaddr=CARD),
    "client id of 255": said(long_option(61, 255)),
    "client id of 1000, split": said(long_option(61, 1000)),
    "client id of no length": said(b"\x3d\0"),
    "UUID of 900, split": said(long_option(97, 900)),
    "UUID of no length": said(b"\x61\0"),
    "user class of 1000, split": said(long_option(77, 1000)),
    "host name of 1000, split": said(long_option(12, 1000)),
    "parameters of no length": said(b"\x37\0"),
    "all options of no length": said(
        b"".join(bytes((code, 0)) for code in (12, 43, 55, 61, 77, 82, 97, 175, 200))
    ),
    "a class in single octets": datagram(
        KIND
        + b"".join(b"\x3c\x01" + bytes((octet,)) for octet in b"PXEClient")
        + b"\x5d\x02\0\x07",
        chaddr=CARD,
    ),
    "a class over three areas": datagram(
        b"\x34\x01\x03" + KIND + b"\x3c\x03PXE\x5d\x02\0\x07\xff",
        chaddr=CARD,
        file=b"\x3c\x03Cli\xff",
        sname=b"\x3c\x03ent\xff",
    ),
    "relay's word of 1000, split": said(long_option(82, 1000)),
    "announces 65535": said(b"\x39\x02\xff\xff"),
    "announces nothing": said(b"\x39\x02\0\0"),
}


def honest(judged: Judged) -> None:
    """A plain DISCOVER of the same machine is answered."""
    before = judged.counts["answered"]
    judged.test(discover(Mac.from_bytes(CARD), rack.EDK2), 0)
    assert judged.counts["answered"] == before + 1


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused_with_its_reason(name: str) -> None:
    """Silence at every door, in both modes, and the counter says why."""
    data, reason = REFUSED[name]
    with pytest.raises(Malformed) as caught:
        parse(data)
    assert caught.value.reason == reason
    for lends in (False, True):
        judged = Judged(lends)
        for door in range(len(DOORS)):
            judged.test(data, door)
        assert judged.counts["malformed"] == len(DOORS)
        honest(judged)


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_what_is_odd_and_sound_is_answered(name: str) -> None:
    """Whatever its size, with an answer that a client can read and a frame can hold."""
    for lends in (False, True):
        judged = Judged(lends)
        judged.test(UNDERSTOOD[name], 0)
        assert judged.counts["answered"] == 1, name
        honest(judged)
