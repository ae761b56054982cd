"""A small book of leases, and cards that ask for its addresses."""

from __future__ import annotations

from ipaddress import IPv4Address

from ironwake.ipv4 import Network, Range
from ironwake.mac import Mac
from ironwake.subnet import Subnet
from ironwake_dhcp.book import Book, Lease

MACS = tuple(Mac.from_bytes(bytes((0x52, 0, 0, 0, 0, number))) for number in range(1, 7))
STRANGER = "52:00:00:00:00:99"


def address(last: int) -> IPv4Address:
    return IPv4Address(f"10.77.0.{last}")


def book(*known: Lease, first: int = 100, last: int = 103) -> Book:
    """Three addresses to give: .100, .102, .103, and the server's own between them."""
    pool = Range(f"{address(first)}-{address(last)}")
    subnet = Subnet(Network("10.77.0.0/24"), (pool,), lease_seconds=100)
    return Book(subnet, address(101), known)
