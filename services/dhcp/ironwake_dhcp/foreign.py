"""What other servers answer: their replies read, down to what matters to whoever stands beside."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address

from ironwake.site import ForeignServer
from ironwake_dhcp.packet import FIXED, MAGIC, OVERLOAD, Malformed, collect

_UDP = 17
_SERVER_PORT = (67).to_bytes(2, "big")
_NO_ADDRESS = bytes(4)
_LONGEST = 255  # octets of a name


def read(frame: bytes, xid: int) -> ForeignServer | None:
    """What an Ethernet frame says, if it is a server's answer to the request with this number."""
    payload = _udp(frame)
    if payload is None or len(payload) < FIXED.size:
        return None
    head = FIXED.unpack_from(payload)
    op, number, given, siaddr, magic = head[0], head[4], head[8], head[9], head[14]
    if op != 2 or number != xid or magic != MAGIC:
        return None
    try:
        options = collect(payload[FIXED.size :], head[13], head[12])
    except Malformed:
        options = {}  # it is there, whatever it means
    server = options.get(54, b"")
    return ForeignServer(
        str(IPv4Address(server if len(server) == 4 else frame[26:30])),
        _next_server(siaddr, options),
        _boot_file(head[13], options),
        options.get(60, b"").startswith((b"PXEClient", b"HTTPClient")),
        given != _NO_ADDRESS,
        bool(_field(head[13], options)),
    )


def _next_server(siaddr: bytes, options: Mapping[int, bytes]) -> str:
    if siaddr != _NO_ADDRESS:
        return str(IPv4Address(siaddr))
    return _text(options.get(66, b""))


def _boot_file(field: bytes, options: Mapping[int, bytes]) -> str:
    return _text(options.get(67, b"")) or _field(field, options)


def _field(field: bytes, options: Mapping[int, bytes]) -> str:
    overloaded = options.get(OVERLOAD, b"\0")[0] & 1  # then options stand in the field
    return "" if overloaded else _text(field)


def _text(value: bytes) -> str:
    """As text that is safe to show: it stands in warnings."""
    shown = value[:_LONGEST].split(b"\0", 1)[0].decode("ascii", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)


def _udp(frame: bytes) -> bytes | None:
    """The payload of a UDP datagram from a DHCP server's port, in Ethernet and IPv4."""
    if len(frame) < 42 or frame[12:14] != b"\x08\x00" or frame[23] != _UDP:
        return None
    start = 14 + (frame[14] & 15) * 4
    if frame[start : start + 2] != _SERVER_PORT:
        return None
    return frame[start + 8 :]
