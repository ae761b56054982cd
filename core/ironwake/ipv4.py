"""IPv4 addresses, networks and ranges as text with one spelling each."""

from __future__ import annotations

import ipaddress

from ironwake.errors import InputError


class Address(str):
    """One IPv4 address that a host can have."""

    __slots__ = ()

    def __new__(cls, text: str) -> Address:
        try:
            address = ipaddress.IPv4Address(text.strip())
        except ValueError:
            raise InputError(
                f"{text!r:.60} is not an IPv4 address", "write it as in 192.0.2.10", "address"
            ) from None
        if address.is_multicast or address.is_loopback or address.is_unspecified or _is_e(address):
            raise InputError(
                f"{address} is no address that a host can have", "name another one", "address"
            )
        return str.__new__(cls, str(address))

    @property
    def ip(self) -> ipaddress.IPv4Address:
        return ipaddress.IPv4Address(self)


def _is_e(address: ipaddress.IPv4Address) -> bool:
    """240.0.0.0/4, and 255.255.255.255 in it."""
    return int(address) >> 28 == 15


class Network(str):
    """An IPv4 network with its prefix length: 192.0.2.0/24."""

    __slots__ = ()

    def __new__(cls, text: str) -> Network:
        try:
            return str.__new__(cls, str(ipaddress.IPv4Network(text.strip())))
        except ValueError as error:
            raise InputError(
                f"{text!r:.60} is not an IPv4 network: {error}",
                "write its first address and its prefix length, as in 192.0.2.0/24",
                "network",
            ) from None

    @property
    def ip(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(self)


class Range(str):
    """Addresses from a first to a last one, both in it: 192.0.2.100-192.0.2.199."""

    __slots__ = ()

    def __new__(cls, text: str) -> Range:
        first, dash, last = text.partition("-")
        if not dash:
            raise InputError(
                f"{text!r:.60} is not a pool of addresses",
                "write the first and the last one, joined by a hyphen",
                "pool",
            )
        pair = (Address(first), Address(last))
        if pair[0].ip > pair[1].ip:
            raise InputError(
                f"{text.strip()!r:.60} runs backwards", "write the lower address first", "pool"
            )
        return str.__new__(cls, "-".join(pair))

    @property
    def first(self) -> ipaddress.IPv4Address:
        return ipaddress.IPv4Address(self.partition("-")[0])

    @property
    def last(self) -> ipaddress.IPv4Address:
        return ipaddress.IPv4Address(self.partition("-")[2])
