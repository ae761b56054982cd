"""The TFTP read requests of the recorded captures."""

from __future__ import annotations

from ironwake_testing.captures import everything
from ironwake_tftp.packet import ReadRequest, parse


def requests() -> list[tuple[bytes, ReadRequest]]:
    """Each request to port 69: its datagram, and what the parser makes of it."""
    found = []
    for item in everything({69}):
        packet = parse(item.payload)
        assert isinstance(packet, ReadRequest), item
        found.append((item.payload, packet))
    return found
