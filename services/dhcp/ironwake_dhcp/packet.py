"""The bytes of a DHCP request, walked once and strictly: behind this file, no option has a number.

Layout and meaning: RFC 2131 section 2, RFC 2132, RFC 3396 (long options), RFC 4578 (PXE).
The walker reads only what is inside the datagram, follows the option overload (52) one level
deep, and joins split options. Everything that is not a well-formed request of one Ethernet client
raises `Malformed`, whose reason is one of a fixed set, so that it can be a metric's label.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address
from typing import Final

from ironwake.mac import Mac

# One Ethernet frame less the IP and UDP headers: firmware announces more in option 57 (edk2 says
# 65280), but none was seen to send more, and a fragment chain is how parsers get fed nonsense.
MAX_SIZE: Final = 1472

MAGIC: Final = b"\x63\x82\x53\x63"  # RFC 2131 section 3
FIXED: Final = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")
BROADCAST: Final = 0x8000
XID: Final = slice(4, 8)
SECS: Final = slice(8, 10)
CHADDR: Final = slice(28, 34)

_PAD, _END, OVERLOAD = 0, 255, 52
_RELAY, _LINK_SELECTION = 82, 5
_NO_ADDRESS: Final = bytes(4)
_MAX_HOPS: Final = 16  # RFC 1542 section 4.1.1: a relay discards what came over more


class MessageType(IntEnum):
    """Option 53 (RFC 2132 section 9.6)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


_MESSAGE_TYPES: Final = {bytes((kind,)): kind for kind in MessageType}


class Malformed(Exception):  # noqa: N818 - it names the datagram, not a fault of ours
    """The datagram is no well-formed DHCP request; the sender is at fault, and gets no answer.

    `reason` is one of `REASONS`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


REASONS: Final = frozenset(
    {
        "too short",
        "too long",
        "not a request",
        "hardware address",
        "too many hops",
        "relay address",
        "magic cookie",
        "option cut off",
        "overload",
        "no message type",
        "message type",
        "option length",
    }
)


@dataclass(frozen=True, slots=True)
class Request:
    """One DHCP request of one client, parsed and checked.

    Addresses that are not set are None. Options that are text or opaque stay bytes: what they
    mean is decided elsewhere. `arch` is the first of option 93's list (RFC 4578 section 2.1).
    """

    message_type: MessageType
    xid: int
    secs: int
    broadcast: bool
    flags: int
    mac: Mac
    ciaddr: IPv4Address | None = None
    giaddr: IPv4Address | None = None
    requested_address: IPv4Address | None = None  # 50
    server_id: IPv4Address | None = None  # 54
    parameters: bytes = b""  # 55
    max_size: int | None = None  # 57
    vendor_class: bytes | None = None  # 60
    client_id: bytes | None = None  # 61
    user_class: bytes | None = None  # 77
    arch: int | None = None  # 93
    uuid: bytes | None = None  # 97, with its leading type octet
    ipxe: bytes | None = None  # 175
    hostname: bytes | None = None  # 12
    relay: bytes | None = None  # 82, what a relay says of itself (RFC 3046)
    link: IPv4Address | None = None  # 82 suboption 5: the client's link (RFC 3527)
    selected: IPv4Address | None = None  # 118: the subnet that is wanted (RFC 3011)


def parse(data: bytes) -> Request:
    """Read the payload of one UDP datagram; raises `Malformed`."""
    if len(data) < FIXED.size:
        raise Malformed("too short")
    if len(data) > MAX_SIZE:
        raise Malformed("too long")
    head = FIXED.unpack_from(data)
    op, htype, hlen, hops, xid, secs, flags, ciaddr, _, _, giaddr, chaddr, sname, file, magic = head
    if op != 1:
        raise Malformed("not a request")
    if htype != 1 or hlen != 6 or chaddr[0] & 1 or not any(chaddr[:6]):
        raise Malformed("hardware address")
    if hops > _MAX_HOPS:
        raise Malformed("too many hops")
    if magic != MAGIC:
        raise Malformed("magic cookie")
    options = collect(data[FIXED.size :], file, sname)
    return Request(
        message_type=_message_type(options),
        xid=xid,
        secs=secs,
        flags=flags,
        broadcast=bool(flags & BROADCAST),
        mac=Mac.from_bytes(chaddr[:6]),
        ciaddr=_address(ciaddr),
        giaddr=_relay(giaddr),
        requested_address=_address(_sized(options, 50, 4)),
        server_id=_address(_sized(options, 54, 4)),
        parameters=options.get(55, b""),
        max_size=_number(_sized(options, 57, 2)),
        vendor_class=options.get(60),
        client_id=options.get(61),
        user_class=options.get(77),
        arch=_arch(options.get(93)),
        uuid=options.get(97),
        ipxe=options.get(175),
        hostname=options.get(12),
        relay=options.get(_RELAY),
        link=_link(options.get(_RELAY)),
        selected=_address(_sized(options, 118, 4)),
    )


def collect(area: bytes, file: bytes = b"", sname: bytes = b"") -> Mapping[int, bytes]:
    """All options, split ones joined in the order of RFC 3396 section 5: options, file, sname.

    Raises `Malformed`.
    """
    found: dict[int, bytes] = {}
    _collect(found, area)
    overload = _sized(found, OVERLOAD, 1)
    if overload is None:
        return found
    if overload[0] not in (1, 2, 3):
        raise Malformed("overload")
    for bit, field in ((1, file), (2, sname)):
        if overload[0] & bit:
            _collect(found, field)
    # A second option 52, inside the overloaded fields, has now been joined to the first one.
    if len(found[OVERLOAD]) != 1:
        raise Malformed("overload")
    return found


def _collect(found: dict[int, bytes], area: bytes) -> None:
    """Add the options of one area to `found`."""
    for code, value in _walk(area):
        # Two message types would join to two octets, which no length check need forgive:
        # `_message_type` refuses them, and so it goes for every option of a fixed size.
        found[code] = found[code] + value if code in found else value


def _walk(area: bytes) -> Iterator[tuple[int, bytes]]:
    """Code and value of each option; ends at the end option or exactly at the area's edge.

    An area without end option is no error: several firmwares cut it off, and nothing is ambiguous.
    """
    position, size = 0, len(area)
    while position < size:
        code = area[position]
        if code == _END:
            return
        if code == _PAD:
            position += 1
            continue
        start = position + 2
        if start > size or start + area[position + 1] > size:
            raise Malformed("option cut off")
        position = start + area[position + 1]
        yield code, area[start:position]


def _message_type(options: Mapping[int, bytes]) -> MessageType:
    value = options.get(53)
    if value is None:
        raise Malformed("no message type")
    kind = _MESSAGE_TYPES.get(value)
    if kind is None:
        raise Malformed("message type")
    return kind


def _sized(options: Mapping[int, bytes], code: int, size: int) -> bytes | None:
    value = options.get(code)
    if value is not None and len(value) != size:
        raise Malformed("option length")
    return value


def _address(value: bytes | None) -> IPv4Address | None:
    return None if value is None or value == _NO_ADDRESS else IPv4Address(value)


def _relay(value: bytes) -> IPv4Address | None:
    """`giaddr`: replies go there, so it must be an address that one relay can have."""
    if value[0] in (0, 127) or value[0] >= 224:  # nobody's, our own, multicast, reserved
        if value == _NO_ADDRESS:
            return None
        raise Malformed("relay address")
    return IPv4Address(value)


def _link(value: bytes | None) -> IPv4Address | None:
    """The link selection inside of option 82, whose suboptions look like options (RFC 3046)."""
    at = 0
    while value is not None and at + 2 <= len(value):
        code, size = value[at], value[at + 1]
        at += 2 + size
        if code == _LINK_SELECTION:
            if size != 4 or at > len(value):
                raise Malformed("option length")
            return _address(value[at - 4 : at])
    return None


def _number(value: bytes | None) -> int | None:
    return None if value is None else int.from_bytes(value, "big")


def _arch(value: bytes | None) -> int | None:
    if value is None:
        return None
    if not value or len(value) % 2:
        raise Malformed("option length")
    return int.from_bytes(value[:2], "big")
