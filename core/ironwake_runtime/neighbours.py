"""Which card has this address? The kernel's neighbour table (RFC 826's cache) knows.

A client that sends us a unicast packet has asked for our MAC address before, and the kernel learned
its own from that question: the entry is there when its first packet is. Not always: with hundreds
of neighbours the kernel forgets some (arp(7), gc_thresh), and a client with two addresses asks by
one of them only.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import weakref
from collections.abc import Callable
from pathlib import Path

from ironwake.errors import InputError
from ironwake.mac import Mac

_TABLE = Path("/proc/net/arp")
_SYSCTL = "net.ipv4.neigh.default.gc_thresh"
_ROOM = Path("/proc/sys/net/ipv4/neigh/default/gc_thresh3")  # of all namespaces together
_COMPLETE = 0x2  # ATF_COM
_SIOCGARP = 0x8954  # arp(7)
# struct arpreq: the protocol's address, the card's, flags, a mask that is not used, the interface.
_ASKED = struct.Struct("=H2x4s8x16xi16x16s")
_FOUND = struct.Struct("=16x2x6s8xi")
_DISCARD = 9  # the port of the service that throws all away (RFC 863)


def lookup(address: str) -> Mac | None:
    """The MAC address of an IPv4 neighbour, or None where the kernel does not know it."""
    table = _TABLE.read_bytes()
    start, wanted = -1, f"\n{address} ".encode()
    # Asked for each request, and as long as there are machines: not line by line.
    while (start := table.find(wanted, start + 1)) >= 0:
        columns = table[start : table.find(b"\n", start + 1)].decode().split()
        if int(columns[2], 16) & _COMPLETE:
            try:
                return Mac(columns[3])
            except InputError:  # all zero: an entry that is still being asked for
                return None
    return None


def on(device: str) -> Callable[[str], Mac | None]:
    """As `lookup`, on this interface only: the kernel is asked for that one neighbour.

    With hundreds of machines, reading its whole table takes longer than making a boot script.
    """
    name = device.encode()
    # One for all questions: without a free descriptor, machines must not become strangers.
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def find(address: str) -> Mac | None:
        try:
            asked = _ASKED.pack(socket.AF_INET, socket.inet_aton(address), 0, name)
            octets, flags = _FOUND.unpack_from(fcntl.ioctl(sock, _SIOCGARP, asked))
            return Mac.from_bytes(octets) if flags & _COMPLETE else None
        except (OSError, InputError):  # no such neighbour; all zero: it is still being asked for
            return None

    weakref.finalize(find, sock.close)
    return find


def room(limit: Path = _ROOM) -> int | None:
    """How many neighbours the kernel keeps at most; None where it does not tell, as in a container.

    With more of them than that it answers nobody's ARP: machines then find no server.
    """
    try:
        return int(limit.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def more_room(machines: int) -> str:
    """The command that makes room for so many machines, and for whoever else is there."""
    return f"sysctl -w {_SYSCTL}2={4 * machines} {_SYSCTL}3={8 * machines}"


def ask(address: str) -> None:
    """Have the kernel ask for the card of an address on our own network: it does for anything that
    is sent there, here for a datagram without content. `lookup` knows it a moment later."""
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock,
    ):
        sock.sendto(b"", (address, _DISCARD))
