"""Where the service stands."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address


@dataclass(frozen=True)
class Place:
    """Where the service stands. `mac` is the interface's own, six bytes."""

    interface: str
    index: int
    mac: bytes
    address: IPv4Address
    server_port: int = 67
    boot_port: int = 4011
