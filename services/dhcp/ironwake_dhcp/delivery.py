"""Where a reply goes: RFC 2131 section 4.1, and what PXE firmware makes of it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from ironwake_dhcp.offer import Door
from ironwake_dhcp.packet import MessageType, Request
from ironwake_dhcp.reply import Reply

EVERYONE = IPv4Address("255.255.255.255")
_NOBODY = IPv4Address(0)
_ALL_CARDS = b"\xff" * 6
_SERVER_PORT, _CLIENT_PORT = 67, 68


@dataclass(frozen=True, slots=True)
class Frame:
    """An Ethernet frame of our own making, for a client that can't answer ARP yet.

    `mac` is six bytes, `address` and `port` are the IPv4 and UDP destination.
    """

    mac: bytes
    address: IPv4Address
    port: int = 68


@dataclass(frozen=True, slots=True)
class Datagram:
    """The kernel's way: the receiver has an address and answers ARP."""

    address: IPv4Address
    port: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where a request came from, and through which door; `to_all`: it was a broadcast.

    `tag` is all of that in a few octets, to know a request again by.
    """

    address: IPv4Address
    port: int
    door: Door
    to_all: bool = True
    tag: bytes = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        octets = struct.pack("!4sHH?", self.address.packed, self.port, self.door.value, self.to_all)
        object.__setattr__(self, "tag", octets)


def deliver(request: Request, reply: Reply, source: Source) -> Frame | Datagram:
    """How `reply` reaches the client that sent `request`."""
    # edk2 asks the boot server from port 4011 and listens there, not on 68; others ask from 68.
    port = source.port if source.door is Door.BOOT else _CLIENT_PORT
    if source.door is Door.BOOT and source.address != _NOBODY:
        return Datagram(source.address, port)
    if request.giaddr is not None:
        return Datagram(request.giaddr, _SERVER_PORT)
    if reply.content.message_type is MessageType.NAK:
        return Frame(_ALL_CARDS, EVERYONE)
    if request.ciaddr is not None and source.address == request.ciaddr:
        return Datagram(request.ciaddr, port)
    if request.broadcast:
        return Frame(_ALL_CARDS, EVERYONE, port)
    # A proxy gives no address to write here. A client that has none yet takes what is addressed
    # to everyone, and the frame still goes to its own card only.
    return Frame(request.mac.packed, reply.address or EVERYONE, port)
