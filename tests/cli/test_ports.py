"""Busy ports: found before anything starts, with the process that has them."""

from __future__ import annotations

import os
import socket

import pytest

from ironwake.errors import RefusedError
from ironwake_cli import ports
from ironwake_runtime.ports import Port
from ironwake_runtime.settings import read


def taken(kind: socket.SocketKind) -> socket.socket:
    """A socket on a loopback port that the kernel chose."""
    sock = socket.socket(socket.AF_INET, kind)
    sock.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        sock.listen(1)
    return sock


@pytest.mark.parametrize(
    ("protocol", "kind"), [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)]
)
def test_a_busy_port_names_its_process(protocol: str, kind: socket.SocketKind) -> None:
    """One sentence: the port, the service that needs it, who has it, and the way out."""
    with taken(kind) as sock:
        number = sock.getsockname()[1]
        port = Port("http", protocol, number, "IRONWAKE_HTTP_PORT", "127.0.0.1")
        (error,) = ports.problems([port])
    assert isinstance(error, RefusedError)
    assert error.what.startswith(
        f"{protocol.upper()} port {number}, which the http service needs, is in use by "
    )
    assert error.what.endswith(f" (pid {os.getpid()})")
    assert "IRONWAKE_HTTP_PORT" in error.next_step


def test_a_free_port_is_no_problem() -> None:
    """And asking leaves it free: the service can have it right after."""
    with taken(socket.SOCK_DGRAM) as sock:
        number = sock.getsockname()[1]
    port = Port("tftp", "udp", number, "IRONWAKE_TFTP_PORT", "127.0.0.1")
    assert ports.problems([port, port]) == ()


def test_an_address_of_another_host() -> None:
    """An address that this host does not have is said as such, without a traceback."""
    port = Port("http", "tcp", 0, "IRONWAKE_HTTP_PORT", "192.0.2.77")
    (error,) = ports.problems([port])
    assert "192.0.2.77 is no address of this host" in str(error)


def test_every_service_port_is_looked_at() -> None:
    """All ports of DESIGN §4; none of DHCP's where its mode is off."""
    settings = read({"IRONWAKE_INTERFACE": "eth0", "IRONWAKE_PACKAGES": "on"})
    wanted = [(p.service, p.protocol, p.number) for p in ports.wanted(settings, "10.0.0.2")]
    assert wanted == [
        ("controller", "tcp", 8080),
        ("dhcp", "udp", 67),
        ("dhcp", "udp", 4011),
        ("tftp", "udp", 69),
        ("dns", "udp", 53),
        ("dns", "tcp", 53),
        ("http", "tcp", 80),
        ("packages", "tcp", 3142),
    ]
    off = read({"IRONWAKE_DHCP_MODE": "off"})
    assert "dhcp" not in {port.service for port in ports.wanted(off, "10.0.0.2")}
