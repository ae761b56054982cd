"""The foreign DHCP server of a storm: addresses, a gateway, and nothing about booting. Pure.

As a plain router answers (RFC 2131); one of its own, because a real one that writes each lease
down would be what the storm measures.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from ironwake_lab.storm.frames import EVERYBODY, NOBODY, options

_COOKIE = b"\x63\x82\x53\x63"
_DISCOVER, _OFFER, _REQUEST, _ACK, _NAK = 1, 2, 3, 5, 6
_LEASE = 3600


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: a payload from port 67 to port 68, to `target` (255.255.255.255, or a lease)."""

    payload: bytes
    target: bytes
    mac: bytes


@dataclass
class Router:
    """`network` is where the machines are; `pool` what it gives away, first come first served."""

    address: bytes
    network: IPv4Network
    pool: list[bytes]
    leases: dict[bytes, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, address: str, network: IPv4Network, first: str, count: int) -> Router:
        """A pool of `count` addresses from `first` on."""
        start = int(IPv4Address(first))
        pool = [(start + number).to_bytes(4, "big") for number in range(count)]
        return cls(IPv4Address(address).packed, network, pool)

    def answer(self, payload: bytes) -> Said | None:
        """What it says to a datagram for port 67; None for what is nothing to it."""
        if len(payload) < 240 or payload[0] != 1 or payload[236:240] != _COOKIE:
            return None
        asked = options(payload[240:])
        kind = (asked.get(53) or b"\0")[0]
        server = asked.get(54)
        if server is not None and server != self.address:
            return None
        mac = payload[28:34]
        lease = self._lease(mac)
        if lease is None or kind not in (_DISCOVER, _REQUEST):
            return None
        said = _OFFER if kind == _DISCOVER else _ACK
        wanted = asked.get(50, payload[12:16] if payload[12:16] != NOBODY else lease)
        if kind == _REQUEST and wanted != lease:
            said, lease = _NAK, NOBODY
        broadcast = bool(payload[10] & 0x80) or said == _NAK
        target = EVERYBODY if broadcast else lease
        return Said(self._message(payload, said, lease), target, mac)

    def _lease(self, mac: bytes) -> bytes | None:
        if mac not in self.leases and len(self.leases) < len(self.pool):
            self.leases[mac] = self.pool[len(self.leases)]
        return self.leases.get(mac)

    def _message(self, asked: bytes, said: int, lease: bytes) -> bytes:
        head = b"\x02\x01\x06\x00" + asked[4:8] + bytes(2) + asked[10:12] + bytes(4) + lease
        body = head + self.address + bytes(4) + asked[28:44] + bytes(192) + _COOKIE
        body += b"\x35\x01" + bytes((said,)) + b"\x36\x04" + self.address
        if said != _NAK:
            for code, seconds in ((51, _LEASE), (58, _LEASE // 2), (59, _LEASE * 7 // 8)):
                body += struct.pack("!BBI", code, 4, seconds)
            body += b"\x01\x04" + self.network.netmask.packed
            body += b"\x1c\x04" + self.network.broadcast_address.packed
            body += b"\x03\x04" + self.address
        return (body + b"\xff").ljust(300, b"\0")
