"""The one TCP port of this service."""

from __future__ import annotations

import socket

from ironwake_runtime.ports import Port, opening
from ironwake_runtime.shortage import Listener


def listen(address: str, number: int) -> socket.socket:
    """A listening, non-blocking socket; IronwakeError names who has the port."""
    sock = Listener(socket.AF_INET, socket.SOCK_STREAM)
    try:
        with opening(Port("http", "tcp", number, "IRONWAKE_HTTP_PORT", address)):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setblocking(False)
            sock.bind((address, number))
            sock.listen(1)  # two may bind with SO_REUSEADDR, only one may listen: find out here
    except BaseException:
        sock.close()
        raise
    return sock
