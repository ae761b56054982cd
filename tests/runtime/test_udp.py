"""Sockets that firmware's first words go to."""

from __future__ import annotations

import socket

import pytest

from ironwake_runtime import udp
from ironwake_runtime.ports import Port


@pytest.mark.root  # without NET_ADMIN, the kernel's own limit holds
def test_a_whole_room_is_heard_by_a_service_that_was_busy() -> None:
    """A thousand requests that come before the first is read are all there."""
    free = Port("dhcp", "udp", 0, "IRONWAKE_DHCP_PORT", "127.0.0.1")
    with udp.listen(free) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as room:
        for number in range(1000):
            room.sendto(number.to_bytes(2, "big") + bytes(400), server.getsockname())
        heard = [int.from_bytes(server.recv(2048)[:2], "big") for _ in range(1000)]
    assert heard == list(range(1000))
