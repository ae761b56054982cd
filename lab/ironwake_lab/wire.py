"""Raw sockets on a rack's bridge: what passes there, and putting frames on it."""

from __future__ import annotations

import ctypes
import socket
import struct

from ironwake_lab import network

ETH_P_ALL = 0x0003
_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP = 1
_PACKET_MR_PROMISC = 1
_BUFFER_BYTES = 32 << 20
_WHOLE_FRAME = 0x40000

# Classic BPF instructions (Linux: Documentation/networking/filter.rst): code, jt, jf, k.
_LOAD_HALF, _LOAD_BYTE, _IF_EQUAL, _RETURN = 0x28, 0x30, 0x15, 0x06


def tcp_cut_to(length: int) -> list[tuple[int, int, int, int]]:
    """A filter that keeps `length` bytes of IPv4 TCP frames (0 drops them), all of the others."""
    return [
        (_LOAD_HALF, 0, 0, 12),
        (_IF_EQUAL, 0, 3, 0x0800),
        (_LOAD_BYTE, 0, 0, 23),
        (_IF_EQUAL, 0, 1, socket.IPPROTO_TCP),
        (_RETURN, 0, 0, length),
        (_RETURN, 0, 0, _WHOLE_FRAME),
    ]


def open_tap(namespace: str, tcp_bytes: int) -> socket.socket:
    """A non-blocking socket that gets every frame on the bridge, the host's own included.

    Promiscuous, since a bridge else passes up only what is for the host or for all. TCP, which
    is bulk here, is cut to `tcp_bytes` by the kernel. Opened inside, usable from anywhere.
    """

    def make() -> socket.socket:
        # Protocol 0: nothing is queued before the filter stands and the interface is bound.
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            program = b"".join(struct.pack("=HBBI", *step) for step in tcp_cut_to(tcp_bytes))
            room = ctypes.create_string_buffer(program)
            steps = struct.pack("HL", len(program) // 8, ctypes.addressof(room))
            tap.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, steps)
            tap.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
            tap.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            index = socket.if_nametoindex(network.BRIDGE)
            membership = struct.pack("iHH8s", index, _PACKET_MR_PROMISC, 0, b"")
            tap.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
            tap.bind((network.BRIDGE, ETH_P_ALL))
        except BaseException:  # no socket is left behind, whatever stopped us
            tap.close()
            raise
        return tap

    return network.inside(namespace, make)


def timestamp(ancillary: list[tuple[int, int, bytes]]) -> float:
    """The kernel's time of arrival (seconds since 1970) out of `recvmsg`'s ancillary data."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("ll", data[:16])
            return float(seconds) + float(nanoseconds) / 1e9
    return 0.0


def send_frame(namespace: str, interface: str, frame: bytes) -> None:
    """Put one Ethernet frame (header included, no checksum) on an interface of the namespace."""

    def make() -> socket.socket:
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sender.bind((interface, 0))
        return sender

    with network.inside(namespace, make) as sender:
        sender.send(frame)
