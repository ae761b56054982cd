"""Both ends of a storm's wire, and the bytes between them.

    rack's namespace              this process                  a namespace of its own
    ┌────────────────┐    ┌─────────────────────────────┐    ┌─────────────────────────┐
    │ appliance, br0 │    │ UDP, ARP: the machines      │    │ TCP sockets, bound to   │
    │      └── storm0┼─tap┤ TCP: Ethernet header off/on ├─tun┤ the machines' addresses │
    └────────────────┘    └─────────────────────────────┘    └─────────────────────────┘

Each machine has a MAC and an address of its own, as the appliance sees them: ARP and UDP are made
by us, byte for byte, while TCP is the kernel's, which here owns the whole range of addresses
(`ip route add local`) and is none the wiser. Both ends carry the kernel's own segments of up to
64 KiB (`IFF_VNET_HDR`), so that bulk costs a system call per segment and not per packet.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from collections.abc import Sequence
from pathlib import Path

from ironwake.errors import BrokenError
from ironwake_lab import network
from ironwake_lab.host import call
from ironwake_lab.rack import Rack
from ironwake_lab.storm.frames import VNET

LARGEST = VNET + 14 + 65536
TAP = "storm0"

_TUN_DEVICE = Path("/dev/net/tun")
_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TUN, _IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0001, 0x0002, 0x1000, 0x4000
_CHECKSUMS, _SEGMENTS = 0x01, 0x02 | 0x20 | 0x40  # TUN_F_CSUM; TUN_F_TSO4, _USO4 and _USO6
_NEEDS_CHECKSUM = 1
_CLONE_NEWNET = 0x40000000
_QUEUE = "20000"  # frames: a second of a busy start may wait there

_HEADER = struct.Struct("=BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset


def open_tap(rack: Rack, *, whole_segments: bool) -> int:
    """A port of the rack's bridge whose far end is this descriptor; gone when it is closed."""

    def make() -> int:
        return _open(TAP, _IFF_TAP, whole_segments=whole_segments)

    descriptor = network.inside(rack.namespace, make)
    try:
        ip = [*network.enter(rack.namespace), "ip", "link", "set", TAP]
        call([*ip, "txqueuelen", _QUEUE])
        call([*ip, "master", network.BRIDGE, "up"])
    except BaseException:  # Ctrl-C too leaves no port on the bridge
        os.close(descriptor)
        raise
    return descriptor


def leave_for_own_network(addresses: Sequence[str], *, whole_segments: bool) -> int:
    """Put the calling thread into a network of its own, where all `addresses` (prefixes) are local.

    Returns the tun by which all its packets leave and come. The network is gone with its sockets.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        number = ctypes.get_errno()
        raise BrokenError(f"cannot have a network namespace: {os.strerror(number)}")
    descriptor = _open("storm", _IFF_TUN, whole_segments=whole_segments)
    try:
        call(["ip", "link", "set", "lo", "up"])
        call(["ip", "link", "set", "storm", "txqueuelen", _QUEUE, "up"])
        call(["ip", "route", "add", "default", "dev", "storm"])
        for prefix in addresses:
            call(["ip", "route", "add", "local", prefix, "dev", "lo"])
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open(name: str, kind: int, *, whole_segments: bool) -> int:
    try:
        descriptor = os.open(_TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise BrokenError(f"this host has no {_TUN_DEVICE}", "load its module: tun") from None
    try:
        flags = kind | _IFF_NO_PI | _IFF_VNET_HDR
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        offload = _CHECKSUMS | (_SEGMENTS if whole_segments else 0)
        try:
            fcntl.ioctl(descriptor, _TUNSETOFFLOAD, offload)
        except OSError:  # before Linux 6.2: no UDP segments
            fcntl.ioctl(descriptor, _TUNSETOFFLOAD, offload & 0x03)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def to_packet(frame: memoryview) -> bytes:
    """A frame of the tap as a packet of the tun: without its Ethernet header."""
    flags, gso, length, size, start, offset = _HEADER.unpack_from(frame)
    start = start - 14 if flags & _NEEDS_CHECKSUM else 0
    header = _HEADER.pack(flags, gso, max(0, length - 14), size, start, offset)
    return b"".join((header, frame[VNET + 14 :]))


def to_frame(packet: memoryview, ethernet: bytes) -> bytes:
    """A packet of the tun as a frame of the tap: `ethernet` is its header, 14 octets."""
    flags, gso, length, size, start, offset = _HEADER.unpack_from(packet)
    start = start + 14 if flags & _NEEDS_CHECKSUM else 0
    header = _HEADER.pack(flags, gso, length + 14 if length else 0, size, start, offset)
    return b"".join((header, ethernet, packet[VNET:]))


def segment(frame: memoryview) -> int:
    """Octets of each datagram's payload in a frame that holds several (UDP_SEGMENT), else 0."""
    return int.from_bytes(frame[4:6], "little") if frame[1] & 0x7F == _GSO_UDP_L4 else 0


_GSO_UDP_L4 = 5
