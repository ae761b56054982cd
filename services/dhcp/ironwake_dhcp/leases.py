"""Who has which address of the pool: pure, the clock is an argument.

A lease belongs to a MAC address, not to a client identifier (RFC 2131 section 4.2 prefers the
latter): one machine speaks with several in one boot (firmware, loader, ramdisk, installed system
all choose their own), and would use up as many addresses.

`now` is wall-clock seconds, because leases outlive the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from ironwake.errors import InputError
from ironwake.mac import Mac

# How long an offered address is kept for the client that was offered it.
_OFFER_SECONDS = 60.0
# How long a declined address is left alone: somebody uses it without having asked.
_DECLINE_SECONDS = 600.0
_NOBODY = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """The addresses to give, from `first` to `last`, all inside `network`; `seconds` for each."""

    network: IPv4Network
    first: IPv4Address
    last: IPv4Address
    server: IPv4Address
    seconds: int = 3600

    def __post_init__(self) -> None:
        usable = self.network.num_addresses > 2
        inside = self.first in self.network and self.last in self.network
        edges = {self.network.network_address, self.network.broadcast_address}
        if not usable or not inside or self.first > self.last or {self.first, self.last} & edges:
            raise InputError(
                f"the pool {self.first}-{self.last} does not fit the network {self.network}",
                "name a first and a last address inside the network, in this order",
            )

    def __contains__(self, address: IPv4Address) -> bool:
        return self.first <= address <= self.last and address != self.server

    def __iter__(self) -> Iterator[IPv4Address]:
        for number in range(int(self.first), int(self.last) + 1):
            if IPv4Address(number) != self.server:
                yield IPv4Address(number)


@dataclass(frozen=True, slots=True)
class Lease:
    """`address` is `mac`'s until `expires`; a declined address has the owner ""."""

    address: IPv4Address
    mac: str
    expires: float


class Leases:
    """The book of leases; every change comes back as a `Lease`, for the caller to write down."""

    def __init__(self, pool: Pool, known: Iterable[Lease] = ()) -> None:
        self.pool = pool
        self._by_address: dict[IPv4Address, Lease] = {}
        self._by_mac: dict[str, IPv4Address] = {}
        self._offers: dict[IPv4Address, Lease] = {}
        for lease in known:
            if lease.address in pool:
                self._write(lease)

    def offer(self, mac: Mac, wanted: IPv4Address | None, now: float) -> IPv4Address | None:
        """An address for `mac`, kept for a minute: its last one, the one it wants, or a free one.

        None: the pool is used up.
        """
        for address in self._candidates(mac, wanted):
            if self.free(address, mac, now):
                for stale in [a for a, held in self._offers.items() if held.mac == mac]:
                    del self._offers[stale]
                self._offers[address] = Lease(address, mac, now + _OFFER_SECONDS)
                return address
        return None

    def bind(self, mac: Mac, address: IPv4Address, now: float) -> Lease | None:
        """Give `address` to `mac` for the pool's time; None when it is not in the pool or taken."""
        if not self.free(address, mac, now):
            return None
        return self._write(Lease(address, mac, now + self.pool.seconds))

    def release(self, mac: Mac, address: IPv4Address, now: float) -> Lease | None:
        """`mac` needs its address no more; it will get the same one again while nobody took it."""
        held = self._by_address.get(address)
        if held is None or held.mac != mac or held.expires <= now:
            return None
        return self._write(Lease(address, mac, now))

    def decline(self, mac: Mac, address: IPv4Address, now: float) -> Lease | None:
        """`mac` found `address` in use by somebody else: nobody gets it for a while."""
        held = self._by_address.get(address)
        if held is None or held.mac != mac:
            return None
        return self._write(Lease(address, _NOBODY, now + _DECLINE_SECONDS))

    def forget_offer(self, mac: Mac) -> None:
        """`mac` took another server's offer."""
        for address in [a for a, held in self._offers.items() if held.mac == mac]:
            del self._offers[address]

    def free(self, address: IPv4Address, mac: Mac, now: float) -> bool:
        """Whether `mac` may have `address`."""
        if address not in self.pool:
            return False
        for held in (self._by_address.get(address), self._offers.get(address)):
            if held is not None and held.mac != mac and held.expires > now:
                return False
        return True

    def all(self) -> tuple[Lease, ...]:
        """Every lease in the book, also those that ran out: who comes back gets the same again."""
        return tuple(lease for _, lease in sorted(self._by_address.items()))

    def _candidates(self, mac: Mac, wanted: IPv4Address | None) -> Iterator[IPv4Address]:
        last = self._by_mac.get(mac)
        if last is not None:
            yield last
        for address, held in self._offers.items():
            if held.mac == mac:
                yield address
                break
        if wanted is not None:
            yield wanted
        # Addresses that were never given come first: who comes back finds the old one free.
        yield from (address for address in self.pool if address not in self._by_address)
        yield from sorted(self._by_address, key=lambda a: self._by_address[a].expires)

    def _write(self, lease: Lease) -> Lease:
        before = self._by_address.get(lease.address)
        if before is not None and self._by_mac.get(before.mac) == lease.address:
            del self._by_mac[before.mac]
        self._by_address[lease.address] = lease
        self._offers.pop(lease.address, None)
        if lease.mac:
            self._by_mac[lease.mac] = lease.address
        return lease
