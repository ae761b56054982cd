"""Who else offers boot files, or addresses, on this network segment?

A DHCPDISCOVER as PXE firmware sends it, from a MAC address that no machine has, and a few seconds
of listening. It takes no lease: a DISCOVER only asks (RFC 2131 §3.1). Our own service is silent to
machines that nobody has enrolled, so whoever answers is somebody else.
"""

from __future__ import annotations

import secrets
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ironwake.errors import RefusedError
from ironwake.firmware import BY_NAME
from ironwake.mac import Mac

_ETH_P_IP = 0x0800
_UDP = 17
_SERVER_PORT = 67
_HEAD = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")  # RFC 2131 figure 1, and RFC 1497's cookie
OPTIONS_AT = _HEAD.size  # where options begin in a DHCP message
_COOKIE = b"\x63\x82\x53\x63"
_PAD, _END = 0, 255


@dataclass(frozen=True)
class Heard:
    """One server's answer. `gives_address`: it is a DHCP server, not a proxy."""

    server: str
    gives_address: bool
    boot_file: str
    pxe: bool

    @property
    def boots(self) -> bool:
        """Whether firmware would take this for an offer to boot."""
        return bool(self.boot_file) or self.pxe


def ask(interface: str, seconds: float = 3.0) -> tuple[Heard, ...]:
    """Ask on this interface and listen; RefusedError without the right to."""
    from ipaddress import IPv4Address

    from ironwake_dhcp.rehearse import discover
    from ironwake_dhcp.template import Frames

    # Locally administered (second lowest bit of the first byte): no card is sold with it.
    mac = Mac.from_bytes(b"\x02" + secrets.token_bytes(5))
    xid = secrets.randbits(32)
    payload = discover(mac, BY_NAME["uefi-amd64-pxe"], xid)
    frames = Frames(mac.packed, IPv4Address(0), 68)
    frame = frames.frame(payload, b"\xff" * 6, IPv4Address("255.255.255.255"), _SERVER_PORT)
    try:
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_IP))
    except PermissionError:
        raise RefusedError(
            "whether another boot server is on the network cannot be seen by this user",
            "run as root: ironwake doctor",
        ) from None
    with wire:
        wire.bind((interface, _ETH_P_IP))
        wire.send(frame)
        return tuple({heard.server: heard for heard in _listen(wire, xid, seconds)}.values())


def _listen(wire: socket.socket, xid: int, seconds: float) -> Iterator[Heard]:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        wire.settimeout(left)
        try:
            heard = read(wire.recv(65535), xid)
        except TimeoutError:
            return
        if heard is not None:
            yield heard


def read(frame: bytes, xid: int) -> Heard | None:
    """What an Ethernet frame says, if it is an answer to the DISCOVER with this number."""
    payload = _udp(frame)
    if payload is None or len(payload) < _HEAD.size:
        return None
    fields = _HEAD.unpack_from(payload)
    if fields[0] != 2 or fields[4] != xid or fields[14] != _COOKIE:
        return None
    said = options(payload[OPTIONS_AT:])
    file = said.get(67, b"").rstrip(b"\0") or fields[13].split(b"\0", 1)[0]
    server = said.get(54, b"")
    return Heard(
        socket.inet_ntoa(server if len(server) == 4 else frame[26:30]),
        fields[8] != bytes(4),
        file.decode("ascii", "replace"),
        said.get(60, b"").startswith((b"PXEClient", b"HTTPClient")),
    )


def _udp(frame: bytes) -> bytes | None:
    """The payload of a UDP datagram from a DHCP server's port, in Ethernet and IPv4."""
    if len(frame) < 42 or frame[12:14] != b"\x08\x00" or frame[23] != _UDP:
        return None
    start = 14 + (frame[14] & 15) * 4
    if frame[start : start + 2] != _SERVER_PORT.to_bytes(2, "big"):
        return None
    return frame[start + 8 :]


def options(data: bytes) -> dict[int, bytes]:
    """Options up to the end or the first that is cut off (RFC 2132 §2)."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        if at + 1 >= len(data) or at + 2 + data[at + 1] > len(data):
            break
        found[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found
