"""Tries addresses before they are given: by ARP on our own link, by ICMP echo behind relays.

What to try, and what an answer means, is the `Book`'s to say; this asks, and waits a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Final

from ironwake.errors import InputError, IronwakeError
from ironwake.mac import Mac
from ironwake_dhcp.book import Book, Lease
from ironwake_dhcp.lend import Lender
from ironwake_dhcp.place import Place

_ETH_P_ARP: Final = 0x0806
_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826: types, sizes, operation, sender, target
_PATIENCE: Final = 1.0  # seconds: RFC 5227 section 2.1.1's PROBE_MAX is 2, for three probes
_BATCH: Final = 64  # packets in one turn
_ROUND: Final = 1.0  # seconds between looks at what is to be tried
_ECHO, _ECHO_REPLY = 8, 0  # RFC 792

# Leases that change because of it, the address, and a sentence about who is there.
Found = Callable[[tuple[Lease, ...], IPv4Address, str], None]


class Prober:
    """`where` finds our interface, `found` is told of each address in use without a lease."""

    def __init__(
        self,
        lender: Lender,
        where: Callable[[], Place],
        found: Found,
        clock: Callable[[], float],
    ) -> None:
        self._lender = lender
        self._where = where
        self._tell = found
        self._clock = clock

    async def run(self) -> None:
        """For ever; an interface that is away is waited for."""
        while True:
            with contextlib.suppress(OSError, IronwakeError):
                await self._serve()
            await asyncio.sleep(_ROUND)

    async def _serve(self) -> None:
        place = self._where()
        mac = place.mac
        with arp_socket(place.interface) as arp, icmp_socket() as icmp:
            loop = asyncio.get_running_loop()
            loop.add_reader(arp, self._arp_came, arp, mac)
            loop.add_reader(icmp, self._echo_came, icmp)
            try:
                while True:
                    await self.round(arp, icmp, mac)
                    await asyncio.sleep(_ROUND)
            finally:
                loop.remove_reader(arp)
                loop.remove_reader(icmp)

    async def round(self, arp: socket.socket, icmp: socket.socket, mac: bytes) -> None:
        """Ask for all that is to be tried, and a second later take silence for a no.

        Raises OSError where the interface is away; nothing is taken for tried then.
        """
        asked: list[tuple[Book, IPv4Address]] = []
        link = self._lender.link
        for book in self._lender.books:
            waiting = book.to_probe(self._clock())
            for number, address in enumerate(waiting):
                try:
                    if book is link:
                        arp.send(arp_probe(mac, address))
                    else:
                        icmp.sendto(echo_request(), (str(address), 0))
                except OSError:
                    book.untried(address)
                    if book is link:
                        for one in waiting[number + 1 :]:
                            book.untried(one)
                        raise
                else:
                    asked.append((book, address))
        if asked:
            asyncio.get_running_loop().call_later(_PATIENCE, self._silent, asked)

    def _silent(self, asked: list[tuple[Book, IPv4Address]]) -> None:
        for book, address in asked:
            book.tried(address, self._clock())

    def _arp_came(self, arp: socket.socket, ours: bytes) -> None:
        with contextlib.suppress(OSError):
            for _ in range(_BATCH):  # more is read in the next turn: a flood is not served alone
                came = arp_sender(arp.recv(64))
                link = self._lender.link
                if came is not None and came[0].packed != ours and link is not None:
                    self._found(link, came[1], str(came[0]))

    def _echo_came(self, icmp: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for _ in range(_BATCH):
                packet, sender = icmp.recvfrom(256)
                address = IPv4Address(sender[0])
                if is_echo_reply(packet):
                    for book in self._lender.books:
                        if book is not self._lender.link and book.has(address):
                            self._found(book, address, "")

    def _found(self, book: Book, address: IPv4Address, by: str) -> None:
        changed = book.in_use(address, by, self._clock())
        if changed:
            who = f"{by} uses it" if by else "it answers an echo request"
            self._tell(changed, address, f"{who}, and has no lease for it")


def arp_socket(interface: str) -> socket.socket:
    """A raw socket that hears and sends ARP on `interface`."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        made.bind((interface, _ETH_P_ARP))
    except OSError:
        made.close()
        raise
    return made


def icmp_socket() -> socket.socket:
    return socket.socket(
        socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP
    )


def arp_probe(mac: bytes, address: IPv4Address) -> bytes:
    """The frame that asks who has the address, in nobody's name (RFC 5227 section 2.1.1)."""
    head = b"\xff" * 6 + mac + _ETH_P_ARP.to_bytes(2, "big")
    body: bytes = _ARP.pack(1, 0x0800, 6, 4, 1, mac, bytes(4), bytes(6), address.packed)
    return head + body


def arp_sender(frame: bytes) -> tuple[Mac, IPv4Address] | None:
    """Card and address of the sender of an ARP frame, question or answer; None for a probe."""
    if len(frame) < 14 + _ARP.size:
        return None
    kind, protocol, hlen, plen, _, mac, address, _, _ = _ARP.unpack_from(frame, 14)
    if (kind, protocol, hlen, plen) != (1, 0x0800, 6, 4) or address == bytes(4):
        return None
    try:
        return Mac.from_bytes(mac), IPv4Address(address)
    except InputError:
        return None


def echo_request() -> bytes:
    """An ICMP echo request of this process (RFC 792)."""
    head = struct.pack("!BBHHH", _ECHO, 0, 0, os.getpid() & 0xFFFF, 1)
    total: int = sum(struct.unpack("!4H", head))
    check = 0xFFFF - ((total & 0xFFFF) + (total >> 16))
    return head[:2] + check.to_bytes(2, "big") + head[4:]


def is_echo_reply(packet: bytes) -> bool:
    """Whether an IPv4 packet answers one of this process."""
    start = (packet[0] & 15) * 4 if packet else 0
    if len(packet) < start + 8:
        return False
    return packet[start] == _ECHO_REPLY and packet[start + 4 : start + 6] == (
        os.getpid() & 0xFFFF
    ).to_bytes(2, "big")
