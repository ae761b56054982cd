"""Who has which address of one subnet: pure, the clock is an argument.

A lease belongs to a MAC address, not to a client identifier (RFC 2131 section 4.2 prefers the
latter): one machine speaks with several in one boot (firmware, loader, ramdisk, installed system
all choose their own), and would use up as many addresses.

Addresses are tried before anybody asks (`to_probe`), so that an OFFER waits for nothing: those
that nobody answered at are given first. `now` is seconds of the steady clock: where the time of day
leaps, clients keep their addresses for as long as they were told all the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from ironwake.mac import Mac
from ironwake.subnet import Subnet
from ironwake_dhcp.spare import Spare

# How long an offered address is kept for the client that was offered it.
_OFFER_SECONDS = 60.0
# How long an address is left alone that somebody uses without having asked.
_ASIDE_SECONDS = 600.0
# How many free addresses are known to be free, and for how long that is believed.
RESERVE = 16
_FRESH_SECONDS = 300.0
# How many are tried at once at most: a rush of clients must not become one of ARP requests.
ROUND = 64
_NOBODY = ""
# In the place of a client that has nothing yet; a card of this address is no one's.
_ANYBODY = Mac("02:00:00:00:00:00")
_NONE: Mapping[Mac, IPv4Address] = {}


@dataclass(frozen=True, slots=True)
class Lease:
    """`address` is `mac`'s until `expires`; one that is put aside has the owner "".

    `hostname`: what the client calls itself, as a DNS label. `since`: when this card first had an
    address of the subnet. Both times are seconds of the steady clock in this run of the kernel.
    """

    address: IPv4Address
    mac: str
    expires: float
    hostname: str = ""
    since: float = 0.0


class Book:
    """The book of one subnet; every change comes back as `Lease`s, for the caller to write down.

    `server` is our own address, which is never given.
    """

    def __init__(self, subnet: Subnet, server: IPv4Address, known: Iterable[Lease] = ()) -> None:
        self.subnet = subnet
        self.network = subnet.network.ip
        self.numbers = range(int(self.network[0]), int(self.network[-1]) + 1)
        self._hosts = range(int(self.network[1]), int(self.network[-1]))
        self._pools = tuple(range(int(p.first), int(p.last) + 1) for p in subnet.pools)
        self._never = {server} | ({subnet.router.ip} if subnet.router else set())
        self._by_address: dict[IPv4Address, Lease] = {}
        self._by_mac: dict[str, IPv4Address] = {}
        self._offers: OrderedDict[IPv4Address, Lease] = OrderedDict()  # the oldest first
        self._offered: dict[str, IPv4Address] = {}
        self._reserved: Mapping[Mac, IPv4Address] = _NONE
        self._owners: dict[IPv4Address, Mac] = {}
        self._proven: dict[IPv4Address, float] = {}  # nobody answered there, at that time
        self._asked: set[IPv4Address] = set()  # being probed
        # Offered before they could be probed; taken from the front.
        self._untested: OrderedDict[IPv4Address, None] = OrderedDict()
        walk = (one for one in subnet.addresses() if one not in self._never)
        self._spare = Spare(walk, self._by_address, self._is_kept)
        for lease in sorted(known, key=lambda one: one.expires):  # of a card, the newest counts
            if self.has(lease.address):
                self._write(lease)

    def reserve(self, reserved: Mapping[Mac, IPv4Address]) -> None:
        """From now on these cards, and no others, get these addresses; the rest is not ours."""
        own = {mac: address for mac, address in reserved.items() if self.has(address)}
        before = self._owners
        self._reserved = own
        self._owners = {address: mac for mac, address in own.items()}
        for address in self._owners:
            self._spare.gone(address)
        for address in before:
            self._maybe_back(address)

    def reserved(self, mac: Mac) -> IPv4Address | None:
        return self._reserved.get(mac)

    def has(self, address: IPv4Address) -> bool:
        """Whether hosts of this subnet have such addresses."""
        return int(address) in self._hosts

    def knows(self, mac: Mac) -> bool:
        """Whether this card has, or had, an address here."""
        return mac in self._by_mac

    def offer(self, mac: Mac, wanted: IPv4Address | None, now: float) -> IPv4Address | None:
        """An address for `mac`, kept for a minute; None: there is none left.

        Its reserved one, the one it was offered, its last one, the one it wants, or a free one.
        """
        address = self._choose(mac, wanted, now)
        if address is None:
            return None
        if self._is_untested(address, mac, now):
            self._untested[address] = None
        self.forget_offer(mac)
        if address in self._offers:  # somebody's who let it lapse
            self.forget_offer(Mac(self._offers[address].mac))
        self._offers[address] = Lease(address, mac, now + _OFFER_SECONDS)
        self._offered[mac] = address
        self._proven.pop(address, None)
        self._spare.gone(address)
        return address

    def bind(
        self, mac: Mac, address: IPv4Address, now: float, hostname: str = ""
    ) -> tuple[Lease, ...]:
        """Give `address` to `mac` for the subnet's time; () when it may not have it.

        Another one that it still has ends: a card has one address of a subnet.
        """
        if not self.free(address, mac, now):
            return ()
        before = self._by_address.get(self._by_mac.get(mac, address))
        since = before.since if before is not None and before.mac == mac else now
        ended: tuple[Lease, ...] = ()
        if before is not None and before.address != address:
            ended = self.release(mac, before.address, now)
        expires = now + self.subnet.lease_seconds
        self._proven.pop(address, None)
        return (*ended, self._write(Lease(address, mac, expires, hostname, since)))

    def release(self, mac: Mac, address: IPv4Address, now: float) -> tuple[Lease, ...]:
        """`mac` needs its address no more; it will get the same one again while nobody took it."""
        held = self._by_address.get(address)
        if held is None or held.mac != mac or held.expires <= now:
            return ()
        return (self._write(replace(held, expires=now)),)

    def decline(self, mac: Mac, address: IPv4Address, now: float) -> tuple[Lease, ...]:
        """`mac` found `address` in use by somebody else: nobody gets it for a while."""
        held = self._by_address.get(address)
        if held is None or held.mac != mac:
            return ()
        return self._put_aside(address, now)

    def forget_offer(self, mac: Mac) -> None:
        """`mac` took another server's offer, or gets another one of ours."""
        address = self._offered.pop(mac, None)
        if address is not None:
            del self._offers[address]
            self._maybe_back(address)

    def free(self, address: IPv4Address, mac: Mac, now: float) -> bool:
        """Whether `mac` may have `address`."""
        owner = self._owners.get(address)
        if owner is not None and owner != mac:
            return False
        if owner is None and not self._in_pool(address):
            return False
        if address in self._never or not self.has(address):
            return False
        for held in (self._by_address.get(address), self._offers.get(address)):
            if held is not None and held.mac != mac and held.expires > now:
                return False
        return True

    def all(self) -> tuple[Lease, ...]:
        """Every lease in the book, also those that ran out: who comes back gets the same again."""
        return tuple(lease for _, lease in sorted(self._by_address.items()))

    # -- trying addresses before they are given ---------------------------------------------------

    def to_probe(self, now: float) -> tuple[IPv4Address, ...]:
        """Up to `ROUND` addresses to try now: those offered untried, then so many that `RESERVE`
        are known free.

        Each is asked for once, until `tried`, `untried` or `in_use` tells what became of it.
        """
        self._proven = {a: at for a, at in self._proven.items() if now - at < _FRESH_SECONDS}
        found: list[IPv4Address] = []
        while self._untested and len(found) < ROUND:
            address, _ = self._untested.popitem(last=False)
            if address not in self._asked:
                found.append(address)
        missing = RESERVE - len(self._proven) - len(self._asked) - len(found)
        if missing > 0:
            found.extend(self._next_free(now, missing))
        self._asked.update(found)
        return tuple(found)

    def tried(self, address: IPv4Address, now: float) -> None:
        """Nobody answered there."""
        if address not in self._asked:  # somebody has answered
            return
        self._asked.discard(address)
        if self.free(address, _ANYBODY, now):
            self._proven[address] = now

    def untried(self, address: IPv4Address) -> None:
        """It could not be asked for: that says nothing."""
        self._asked.discard(address)

    def in_use(self, address: IPv4Address, by: str, now: float) -> tuple[Lease, ...]:
        """Somebody is there; `by` is the card, "" where that can't be known.

        It counts for addresses that are being tried. Nothing is wrong where that is the client
        whose address it is, or who was offered it.
        """
        if address not in self._asked:
            return ()
        self._asked.discard(address)
        held = self._by_address.get(address)
        offered = self._offers.get(address)
        rightful = {
            lease.mac for lease in (held, offered) if lease is not None and lease.expires > now
        }
        if by in rightful | {self._owners.get(address)}:
            return ()
        if held is not None and held.mac and held.expires > now:
            return ()  # two quarrel about it: its owner will decline it, or win
        if held is not None and held.mac == by and offered is None:
            # Its lease ran out and it goes on using it: it shall find it here when it asks.
            return (self._write(replace(held, expires=now + _ASIDE_SECONDS)),)
        return self._put_aside(address, now)

    def _is_untested(self, address: IPv4Address, mac: Mac, now: float) -> bool:
        """Whether it goes out without having been tried. Who had it last knows best."""
        held = self._by_address.get(address)
        if held is not None and held.mac == mac:
            return False
        if self._offered.get(mac) == address:
            return False  # that was seen to when it was offered first
        return now - self._proven.get(address, -_FRESH_SECONDS) >= _FRESH_SECONDS

    def _next_free(self, now: float, count: int) -> Iterator[IPv4Address]:
        """The next ones to be given that are neither proven nor being tried."""
        for address in self._common(now):
            if count == 0:
                return
            if address not in self._proven and address not in self._asked:
                count -= 1
                yield address

    # -- choosing ---------------------------------------------------------------------------------

    def _choose(self, mac: Mac, wanted: IPv4Address | None, now: float) -> IPv4Address | None:
        own = (self._reserved.get(mac), self._offered.get(mac), self._by_mac.get(mac), wanted)
        for address in own:
            if address is not None and self.free(address, mac, now):
                return address
        # Addresses that were never given come first: who comes back finds the old one free.
        proven = [address for address in self._proven if self.free(address, mac, now)]
        untouched = (address for address in proven if address not in self._by_address)
        best = next(untouched, None) or next(self._common(now), None)
        return proven[0] if proven and best in self._by_address else best

    def _common(self, now: float) -> Iterator[IPv4Address]:
        """Every address that anybody may have, the best first."""
        while self._offers:  # the oldest stands first: all are kept equally long
            oldest = next(iter(self._offers.values()))
            if oldest.expires > now:
                break
            self.forget_offer(Mac(oldest.mac))
        return (one for one in self._spare.addresses(now) if self.free(one, _ANYBODY, now))

    def _is_kept(self, address: IPv4Address) -> bool:
        return address in self._offers or address in self._owners

    def _maybe_back(self, address: IPv4Address) -> None:
        """It is not offered, or not reserved, any more: anybody may have it unless it is both."""
        if not self._is_kept(address) and self._in_pool(address) and address not in self._never:
            self._spare.back(address)

    def _in_pool(self, address: IPv4Address) -> bool:
        number = int(address)
        return any(number in pool for pool in self._pools)

    # -- writing ----------------------------------------------------------------------------------

    def _put_aside(self, address: IPv4Address, now: float) -> tuple[Lease, ...]:
        return (self._write(Lease(address, _NOBODY, now + _ASIDE_SECONDS)),)

    def _write(self, lease: Lease) -> Lease:
        before = self._by_address.get(lease.address)
        if before is not None and self._by_mac.get(before.mac) == lease.address:
            del self._by_mac[before.mac]
        self._by_address[lease.address] = lease
        offer = self._offers.pop(lease.address, None)
        if offer is not None:
            del self._offered[offer.mac]
        if lease.mac:
            self._by_mac[lease.mac] = lease.address
        self._untested.pop(lease.address, None)
        self._spare.written(lease.address)
        return lease
