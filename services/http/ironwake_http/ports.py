"""The TCP ports of this service."""

from __future__ import annotations

import contextlib
import socket

from ironwake_runtime.ports import Port, opening
from ironwake_runtime.shortage import Listener


def listen(address: str, number: int, setting: str = "IRONWAKE_HTTP_PORT") -> socket.socket:
    """A listening, non-blocking socket; IronwakeError names who has the port."""
    sock = Listener(socket.AF_INET, socket.SOCK_STREAM)
    try:
        with opening(Port("http", "tcp", number, setting, address)):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setblocking(False)
            unpace(sock)
            sock.bind((address, number))
            sock.listen(1)  # two may bind with SO_REUSEADDR, only one may listen: find out here
    except BaseException:
        sock.close()
        raise
    return sock


def unpace(sock: socket.socket) -> None:
    """Where the host's TCP is BBR, take the kernel's standard for what is accepted here.

    BBR lets each packet go by a timer of its own: on a cable of a room that costs more than all
    else of a file, and halves the rate. Other choices of the host are left alone. For the listening
    socket, for BBR's timers stay with a connection that has begun with it.
    """
    if not sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).startswith(b"bbr"):
        return
    for name in (b"cubic", b"reno"):  # who is not root may be allowed the second one only
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name)
            return
