"""Where a reply goes: RFC 2131 section 4.1, and what PXE firmware makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from ironwake_dhcp.offer import Door
from ironwake_dhcp.packet import MessageType, Request
from ironwake_dhcp.reply import Reply

EVERYONE = IPv4Address("255.255.255.255")
_NOBODY = IPv4Address(0)


@dataclass(frozen=True, slots=True)
class Frame:
    """An Ethernet frame of our own making, for a client that can't answer ARP yet."""

    mac: bytes
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class Datagram:
    """The kernel's way: the receiver has an address and answers ARP."""

    address: IPv4Address
    port: int


def deliver(
    request: Request, reply: Reply, door: Door, source: tuple[IPv4Address, int], relay_port: int
) -> Frame | Datagram:
    """How `reply` reaches the sender of `request`, which came from `source`.

    `relay_port` is where relays listen: 67, unless the service runs on other ports.
    """
    address, port = source
    if door is Door.BOOT and address != _NOBODY:
        # edk2 asks from port 4011 and listens there, not on 68; others ask from 68.
        return Datagram(address, port)
    if request.giaddr is not None:
        return Datagram(request.giaddr, relay_port)
    if reply.content.message_type is MessageType.NAK:
        return Frame(b"\xff" * 6, EVERYONE)
    if request.ciaddr is not None and address == request.ciaddr:
        return Datagram(request.ciaddr, port)
    if request.broadcast:
        return Frame(b"\xff" * 6, EVERYONE)
    # A proxy gives no address to write here. A client that has none yet takes what is addressed
    # to everyone, and the frame still goes to its own card only.
    return Frame(request.mac.packed, reply.address or EVERYONE)
