"""Replies as bytes: built once by scapy, patched for each request.

A template holds everything that `Content` says. What differs from client to client is six fields
of the fixed header and, at the very end, the options that echo the client (61, 97), so that
answering costs a few slices: scapy's own build takes forty times as long.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Final

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from ironwake_dhcp.delivery import Datagram, Frame
from ironwake_dhcp.packet import BROADCAST, XID, MessageType, Request
from ironwake_dhcp.reply import Content, Reply, Terms

# RFC 1542 section 2.1: old clients and relays drop what is shorter than BOOTP's fixed 300 octets.
_LEAST: Final = 300
# RFC 2131 section 2: the field is text that ends with a zero.
_FILE_FIELD: Final = 127
_NO_ADDRESS: Final = IPv4Address(0)
_CHECK: Final = slice(40, 42)  # the UDP checksum in a frame of ours
# iPXE, src/include/ipxe/dhcp.h: DHCP_EB_PRIORITY, in the option that it calls its own. Everybody
# who does not say it has zero.
_IPXE: Final = 175
_PRIORITY_OF_ONE: Final = b"\1\1\1"


class Template:
    """The bytes of one `Content`, waiting for a client."""

    def __init__(self, content: Content) -> None:
        self._lease = content.terms is not None
        self._refuses = content.message_type is MessageType.NAK
        file = content.boot_file.encode("ascii")
        packet = BOOTP(
            op=2,
            htype=1,
            hlen=6,
            xid=0,
            # the next server, for those that have a file to fetch there (RFC 2131 table 3)
            siaddr=str(content.server if file else _NO_ADDRESS),
            chaddr=bytes(16),
            file=file if len(file) <= _FILE_FIELD else b"",
        ) / DHCP(options=_options(content))
        self._bytes = bytes(packet)

    def fill(self, request: Request, address: IPv4Address | None) -> bytes:
        """The UDP payload that answers `request`, giving `address`."""
        whole = self._bytes
        # RFC 2131 section 4.3.2: a refused client has no address; the relay must broadcast to it.
        must_broadcast = self._refuses and request.giaddr is not None
        flags = request.flags | (BROADCAST if must_broadcast else 0)
        parts = (
            whole[:4],
            # `secs` is zero in every reply (RFC 2131 table 3)
            struct.pack("!IHH", request.xid, 0, flags),
            _packed(request.ciaddr) if self._lease else _NO_ADDRESS.packed,
            _packed(address),
            whole[20:24],
            _packed(request.giaddr),
            request.mac.packed,
            whole[34:],
            _echo(61, request.client_id if self._lease or self._refuses else None),
            _echo(97, request.uuid),
            _echo(118, request.selected.packed if self._lease and request.selected else None),
            # The last one, whole, and for relays only (RFC 3046 section 2.2).
            _whole(82, request.relay if request.giaddr is not None else None),
            b"\xff",
        )
        return b"".join(parts).ljust(_LEAST, b"\0")


@dataclass(slots=True)
class Stencil:
    """A reply's UDP payload but for the transaction number, which stands between the two parts."""

    before: bytes
    after: bytes
    way: Frame | Datagram
    framed: Framed | None = field(default=None, compare=False, repr=False)
    is_used: bool = field(default=False, compare=False, repr=False)

    def payload(self, xid: bytes) -> bytes:
        """All of it; `xid` is the request's four octets."""
        return self.before + xid + self.after


@dataclass(frozen=True, slots=True)
class Framed:
    """The same as the parts of an Ethernet frame, made by `maker`.

    `total` is the sum that the UDP checksum is made of, while the number is zero: adding a 32-bit
    number modulo 65535 is adding its two words.
    """

    maker: Frames
    before: bytes
    total: int
    between: bytes
    after: bytes


class Templates:
    """The templates in use, the least recently used of many forgotten.

    A template is keyed by all that it says, so none can ever be out of date.
    """

    def __init__(self, most: int = 8192) -> None:
        self._most = most
        self._known: OrderedDict[Content, Template] = OrderedDict()

    def prepare(self, content: Content) -> Template:
        """Build the template now, unless it is there, so that no packet has to wait for scapy."""
        template = self._known.get(content)
        if template is None:
            template = self._known[content] = Template(content)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(content)
        return template

    def payload(self, request: Request, reply: Reply) -> bytes:
        """The UDP payload of `reply` to `request`."""
        return self.prepare(reply.content).fill(request, reply.address)

    def stencil(self, request: Request, reply: Reply, way: Frame | Datagram) -> Stencil:
        """The UDP payload of `reply` to `request`, and to all that differ in their number only."""
        payload = self.payload(request, reply)
        return Stencil(payload[: XID.start], payload[XID.stop :], way)

    def __len__(self) -> int:
        return len(self._known)


class Frames:
    """Ethernet frames from our server port to a client that has no address yet.

    The kernel can't send these: it would first ask for the client's hardware address by ARP, which
    a client without an address doesn't answer. `mac` is our interface's own, six bytes.
    """

    def __init__(self, mac: bytes, address: IPv4Address, source_port: int) -> None:
        ip = IP(src=str(address), dst=str(_NO_ADDRESS), id=0, ttl=64, flags="DF", len=0, chksum=0)
        head = bytes(Ether(src=mac.hex(":"), dst="ff:ff:ff:ff:ff:ff") / ip / UDP(sport=source_port))
        self._link, self._ip, self._udp = head[6:14], head[14:34], head[34:36]

    def frame(self, payload: bytes, mac: bytes, address: IPv4Address, port: int) -> bytes:
        """One frame to the six bytes `mac`, to UDP `port` of `address`, checksums right."""
        size = len(payload) + 8
        ip = self._ip[:2] + (size + 20).to_bytes(2, "big") + self._ip[4:16] + address.packed
        udp = self._udp + port.to_bytes(2, "big") + size.to_bytes(2, "big")
        pseudo = ip[12:20] + b"\0\x11" + udp[4:6]  # RFC 768
        # RFC 768: a sum of zero is sent as all ones, for zero means "no checksum".
        check = _checksum(pseudo + udp + b"\0\0" + payload) or 0xFFFF
        ip = ip[:10] + _checksum(ip).to_bytes(2, "big") + ip[12:]
        return b"".join((mac, self._link, ip, udp, check.to_bytes(2, "big"), payload))

    def filled(self, stencil: Stencil, way: Frame, xid: bytes) -> bytes:
        """The frame of a stencil's reply to the transaction `xid`."""
        if not stencil.is_used:  # most of a server's answers are given once
            stencil.is_used = True
            return self.frame(stencil.payload(xid), way.mac, way.address, way.port)
        framed = stencil.framed
        if framed is None or framed.maker is not self:
            framed = stencil.framed = self._framed(stencil, way)
        # As in `frame`: never zero.
        check = 0xFFFF - (framed.total + int.from_bytes(xid, "big")) % 0xFFFF
        between, after = framed.between, framed.after
        return b"".join((framed.before, check.to_bytes(2, "big"), between, xid, after))

    def _framed(self, stencil: Stencil, way: Frame) -> Framed:
        whole = self.frame(stencil.payload(bytes(4)), way.mac, way.address, way.port)
        total = 0xFFFF - int.from_bytes(whole[_CHECK], "big")
        start = _CHECK.stop + len(stencil.before)
        return Framed(
            self, whole[: _CHECK.start], total, whole[_CHECK.stop : start], whole[start + 4 :]
        )


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of `data`, whose own checksum field is zero.

    The ones' complement sum of 16-bit words is the number that the bytes are, modulo 65535: one
    step in C instead of a loop in Python.
    """
    if len(data) % 2:
        data += b"\0"
    total = int.from_bytes(data, "big") % 0xFFFF
    # The sum is zero only if every word is: a multiple of 65535 is written 0xFFFF, never 0.
    return 0 if total == 0 and any(data) else 0xFFFF - total


def _packed(address: IPv4Address | None) -> bytes:
    return _NO_ADDRESS.packed if address is None else address.packed


def _echo(code: int, value: bytes | None) -> bytes:
    """The client's own option given back (RFC 6842; PXE 2.1 table 2-2), if it fits one."""
    if not value or len(value) > 255:
        return b""
    return bytes((code, len(value))) + value


def _whole(code: int, value: bytes | None) -> bytes:
    """The same of a value that may need more than one option (RFC 3396)."""
    whole = value or b""
    return b"".join(_echo(code, whole[at : at + 255]) for at in range(0, len(whole), 255))


def _options(content: Content) -> list[tuple[object, ...]]:
    """Scapy's names for what `content` says, without the end option, which `fill` adds."""
    options: list[tuple[object, ...]] = [
        ("message-type", int(content.message_type)),
        ("server_id", str(content.server)),
    ]
    if content.vendor_class:
        options.append(("vendor_class_id", content.vendor_class.encode("ascii")))
    if content.discovery:
        options.append(("vendor_specific", content.discovery))
    if content.terms:
        options.extend(_terms(content.terms))
    if content.boot_file:
        options.append(("boot-file-name", content.boot_file.encode("ascii")))
    if content.overrides:
        options.append((_IPXE, _PRIORITY_OF_ONE))
    return options


def _terms(terms: Terms) -> Iterable[tuple[object, ...]]:
    yield ("subnet_mask", str(terms.netmask))
    if terms.router:
        yield ("router", str(terms.router))
    if terms.name_servers:
        yield ("name_server", *map(str, terms.name_servers))
    if terms.domain:
        yield ("domain", terms.domain.encode("ascii"))
    if terms.ntp_servers:
        yield ("NTP_server", *map(str, terms.ntp_servers))
    if terms.log_server:
        yield ("log_server", str(terms.log_server))
    if terms.static_routes:
        yield (121, terms.static_routes)
    if terms.seconds is not None:
        yield ("lease_time", terms.seconds)
        yield ("renewal_time", terms.seconds // 2)  # RFC 2131 section 4.4.5
        yield ("rebinding_time", terms.seconds * 7 // 8)
