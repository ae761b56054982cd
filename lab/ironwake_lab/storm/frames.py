"""Bytes on a machine's wire: Ethernet, ARP (RFC 826), IPv4, UDP and DHCP (RFC 2131). Pure.

Addresses are bytes here, 6 of a card and 4 of IPv4: hundreds of machines parse thousands of frames
a second. Every frame begins with a virtio_net_hdr, as the wire's ends want it (`cable`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

VNET = 10  # octets of struct virtio_net_hdr
NO_OFFLOAD = bytes(VNET)
ALL = b"\xff" * 6
NOBODY = bytes(4)
EVERYBODY = b"\xff" * 4
IPV4, ARP = b"\x08\x00", b"\x08\x06"
UDP, TCP = 17, 6

_ARP_HEAD = bytes.fromhex("0001080006040001")[:6]
_IP = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")
_COOKIE = b"\x63\x82\x53\x63"
_OPTIONS = 240  # octets in front of a DHCP message's options
_PAD, _END = 0, 255


def arp(
    operation: int, mac: bytes, address: bytes, target_mac: bytes, target: bytes, to: bytes
) -> bytes:
    """An ARP frame: `operation` 1 asks, 2 answers; `to` is the Ethernet destination."""
    body = _ARP_HEAD + operation.to_bytes(2, "big") + mac + address + target_mac + target
    return NO_OFFLOAD + to + mac + ARP + body + bytes(18)


@lru_cache(8192)
def _header(
    macs: bytes, source: bytes, target: bytes, sport: int, dport: int, length: int
) -> bytes:
    head: bytes = _IP.pack(0x45, 0, 28 + length, 0, 0x4000, 64, UDP, 0, source, target)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    head = head[:10] + checksum.to_bytes(2, "big") + head[12:]
    # No UDP checksum: RFC 768 leaves it to the sender.
    ports: bytes = _UDP.pack(sport, dport, 8 + length, 0)
    return NO_OFFLOAD + macs + IPV4 + head + ports


def udp(macs: bytes, source: bytes, target: bytes, sport: int, dport: int, payload: bytes) -> bytes:
    """A UDP frame; `macs` are the destination's and the source's, 12 octets."""
    return _header(macs, source, target, sport, dport, len(payload)) + payload


@dataclass(frozen=True, slots=True)
class Datagram:
    """One UDP datagram; addresses are 4 octets."""

    source: bytes
    target: bytes
    sport: int
    dport: int
    payload: bytes


def datagram(frame: memoryview) -> Datagram | None:
    """The UDP datagram of an IPv4 frame; None for a fragment and for what is cut off."""
    ip = VNET + 14
    if len(frame) < ip + 28 or frame[ip] >> 4 != 4 or (frame[ip + 6] & 0x3F) | frame[ip + 7]:
        return None
    at = ip + (frame[ip] & 0x0F) * 4
    total = int.from_bytes(frame[ip + 2 : ip + 4], "big")
    end = ip + total
    if at + 8 > end or end > len(frame):
        return None
    sport, dport = (frame[at] << 8) | frame[at + 1], (frame[at + 2] << 8) | frame[at + 3]
    source, target = bytes(frame[ip + 12 : ip + 16]), bytes(frame[ip + 16 : ip + 20])
    return Datagram(source, target, sport, dport, bytes(frame[at + 8 : end]))


@dataclass(frozen=True, slots=True)
class Question:
    """What a machine says by DHCP; `options` without the end."""

    mac: bytes
    xid: int
    secs: int
    flags: int
    options: bytes
    address: bytes = NOBODY  # ciaddr


def question(said: Question) -> bytes:
    """A BOOTREQUEST. Firmware does not pad it to BOOTP's 300 octets."""
    head = struct.pack("!BBBBIHH", 1, 1, 6, 0, said.xid, said.secs, said.flags)
    body = head + said.address + bytes(12) + said.mac + bytes(10 + 192)
    return body + _COOKIE + said.options + bytes((_END,))


@dataclass(frozen=True, slots=True)
class Reply:
    """What of a BOOTREPLY a machine looks at; `file` is the BOOTP field, else option 67."""

    kind: int
    xid: int
    mac: bytes
    address: bytes  # yiaddr
    next_server: bytes  # siaddr
    server: bytes  # option 54
    file: str
    vendor_class: bytes
    discovery: bytes  # option 43


def reply(payload: bytes) -> Reply | None:
    """Read a BOOTREPLY; None for anything else."""
    if len(payload) < _OPTIONS or payload[0] != 2 or payload[236:240] != _COOKIE:
        return None
    found = options(payload[_OPTIONS:])
    field = payload[108:236].split(b"\0", 1)[0] or found.get(67, b"").rstrip(b"\0")
    return Reply(
        (found.get(53) or b"\0")[0],
        int.from_bytes(payload[4:8], "big"),
        payload[28:34],
        payload[16:20],
        payload[20:24],
        found.get(54, NOBODY)[:4].ljust(4, b"\0"),
        field.decode("ascii", "replace"),
        found.get(60, b""),
        found.get(43, b""),
    )


def options(data: bytes) -> dict[int, bytes]:
    """Options by number, as far as they are well formed."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            break
        code, length = data[at], data[at + 1]
        found.setdefault(code, data[at + 2 : at + 2 + length])
        at += 2 + length
    return found
