"""UDP sockets that tell by which interface each datagram came (IP_PKTINFO, ip(7))."""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass

from ironwake_runtime.ports import Port, opening

_IP_PKTINFO = 8  # linux/in.h; not in the socket module of Python 3.11
_SO_RCVBUFFORCE = 33  # socket(7): as SO_RCVBUF, beyond the kernel's own limit
# Octets that may wait to be read. A room that is powered on at once asks within the same second;
# the kernel's default has room for some two hundred datagrams, and loses the others.
_WAITING = 4 << 20
_PKTINFO = struct.Struct("=I4s4s")  # interface's number, our address, the datagram's destination
ROOM = socket.CMSG_SPACE(_PKTINFO.size)  # bytes that `recvmsg` needs for the note


@dataclass(frozen=True, slots=True)
class Arrival:
    """`index` is the kernel's number of the interface, `address` ours there.

    `target` is what the sender had addressed: ours, or that of a broadcast.
    """

    index: int
    address: str
    target: str


def listen(port: Port) -> socket.socket:
    """A non-blocking socket on the port's interface or address; broadcasts are heard there, too.

    :raises IronwakeError: the port cannot be opened; names who has it
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        with opening(port):
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            if port.interface:
                # Before bind: another server on the same port, but on its own interface, is no
                # conflict. Where the right is missing, the look at every arrival does alone.
                with contextlib.suppress(PermissionError):
                    name = port.interface.encode()
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
            sock.bind((port.address, port.number))
        _make_room(sock)
    except BaseException:  # no socket is left behind, whatever stopped us
        sock.close()
        raise
    return sock


def _make_room(sock: socket.socket) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _WAITING)
    except PermissionError:  # without NET_ADMIN: as much as the kernel gives to all
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WAITING)


def arrival(ancillary: list[tuple[int, int, bytes]]) -> Arrival | None:
    """What `recvmsg`'s ancillary data says; None where the kernel has left no note."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            index, ours, target = _PKTINFO.unpack_from(data)
            return Arrival(index, socket.inet_ntoa(ours), socket.inet_ntoa(target))
    return None


def departure(index: int, address: str) -> tuple[int, int, bytes]:
    """The note for `sendmsg` that has a datagram leave by this interface, from this address."""
    note = _PKTINFO.pack(index, socket.inet_aton(address), bytes(4))
    return socket.IPPROTO_IP, _IP_PKTINFO, note
