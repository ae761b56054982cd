"""Subnets that the appliance gives addresses in: pools, lease times, options."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from ironwake.errors import InputError
from ironwake.ipv4 import Address, Network, Range
from ironwake.names import DomainName

_SHORTEST, _LONGEST = 60, 0xFFFF_FFFE  # seconds; all ones would mean "for ever" (RFC 2132 §9.2)
_MOST_BYTES = 255  # of one DHCP option
_MOST_SERVERS = 8


@dataclass(frozen=True)
class Route:
    """Packets for the network `to` go to the router `via` (RFC 3442)."""

    to: Network
    via: Address

    @property
    def encoded(self) -> bytes:
        """As option 121 has it: prefix length, the octets that it covers, the router."""
        network = self.to.ip
        octets = network.network_address.packed[: (network.prefixlen + 7) // 8]
        return bytes((network.prefixlen,)) + octets + self.via.ip.packed


@dataclass(frozen=True)
class Subnet:
    """One network, and what its clients are told.

    `pools` are the addresses for whoever asks; reserved ones may lie outside of them. `dns`: ()
    names the appliance. `domain`: None is the site's own. `routes` are the static ones beside the
    default route, which is `router`. `relays` pass requests on for this network from an address in
    none of ours, by the link selection (RFC 3527) or the subnet selection (RFC 3011).
    """

    network: Network
    pools: tuple[Range, ...] = ()
    lease_seconds: int = 3600
    router: Address | None = None
    dns: tuple[Address, ...] = ()
    ntp: tuple[Address, ...] = ()
    domain: DomainName | None = None
    routes: tuple[Route, ...] = ()
    relays: tuple[Address, ...] = ()

    def __post_init__(self) -> None:
        if self.network.ip.prefixlen > 30:
            raise InputError(
                f"{self.network} has no room for clients", "name a larger one", "network"
            )
        for number, pool in enumerate(self.pools):
            self._check_pool(pool, f"pools[{number}]")
        if not _SHORTEST <= self.lease_seconds <= _LONGEST:
            raise InputError(
                f"{self.lease_seconds} is no lease time",
                f"give seconds, from {_SHORTEST} to {_LONGEST}",
                "lease_seconds",
            )
        if self.router is not None and not self.has(self.router.ip):
            raise InputError(
                f"the router {self.router} is not in {self.network}",
                "name the router's address in this network",
                "router",
            )
        for name, servers in (("dns", self.dns), ("ntp", self.ntp)):
            if len(servers) > _MOST_SERVERS:
                raise InputError(
                    f"{len(servers)} servers are too many", f"name {_MOST_SERVERS} at most", name
                )
        self._check_routes()

    def _check_pool(self, pool: Range, where: str) -> None:
        if not (self.has(pool.first) and self.has(pool.last)):
            raise InputError(
                f"the pool {pool} does not fit the network {self.network}",
                "name a first and a last address inside the network",
                where,
            )
        for other in self.pools:
            if other is not pool and other.first <= pool.last and pool.first <= other.last:
                raise InputError(f"the pools {other} and {pool} overlap", "part them", where)

    def _check_routes(self) -> None:
        for number, route in enumerate(self.routes):
            if not self.has(route.via.ip):
                raise InputError(
                    f"the router {route.via} is not in {self.network}",
                    "name a router that clients reach directly",
                    f"routes[{number}].via",
                )
        if len(self.static_routes) > _MOST_BYTES:
            raise InputError("these routes do not fit one option", "name fewer", "routes")

    def has(self, address: IPv4Address) -> bool:
        """Whether a host of this network can have the address."""
        network = self.network.ip
        edges = (network.network_address, network.broadcast_address)
        return address in network and address not in edges

    @property
    def static_routes(self) -> bytes:
        """Option 121, b"" without routes.

        Clients that take it ignore option 3 (RFC 3442, "Client Behavior"), so that the default
        route stands in it, too.
        """
        if not self.routes:
            return b""
        default = (Route(Network("0.0.0.0/0"), self.router),) if self.router else ()
        return b"".join(route.encoded for route in (*self.routes, *default))

    def addresses(self) -> Iterator[IPv4Address]:
        """Of all pools, one after the other."""
        for pool in self.pools:
            yield from map(IPv4Address, range(int(pool.first), int(pool.last) + 1))


@dataclass(frozen=True)
class Subnets:
    """All of them: what the file of IRONWAKE_DHCP_SUBNETS has."""

    subnets: tuple[Subnet, ...]

    def __post_init__(self) -> None:
        if not self.subnets:
            raise InputError("there is no subnet", "name one network at least", "subnets")
        for (_, one), (number, two) in itertools.combinations(enumerate(self.subnets), 2):
            if one.network.ip.overlaps(two.network.ip):
                raise InputError(
                    f"the networks {one.network} and {two.network} overlap",
                    "give each address to one subnet",
                    f"subnets[{number}].network",
                )
