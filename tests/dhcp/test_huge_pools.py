"""Pools of a million addresses, and floods of clients: each costs the same."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from ironwake.ipv4 import Address, Network, Range
from ironwake.mac import Mac
from ironwake.subnet import Subnet
from ironwake_dhcp.book import RESERVE, ROUND, Book, Lease
from tests.dhcp.books import MACS


class Walked(Subnet):
    """A subnet that counts which of its addresses somebody has looked at."""

    def addresses(self) -> Iterator[IPv4Address]:
        for one in super().addresses():
            LOOKED.append(one)
            yield one


LOOKED: list[IPv4Address] = []


class Counted(Book):
    """A book that counts how often it asks itself whether an address is free."""

    questions = 0

    def free(self, address: IPv4Address, mac: Mac, now: float) -> bool:
        self.questions += 1
        return super().free(address, mac, now)


def huge() -> Counted:
    """A pool of a million addresses; the appliance and the router are its first two."""
    pool = Range("10.64.0.1-10.79.255.254")
    router = Address("10.64.0.2")
    subnet = Walked(Network("10.64.0.0/12"), (pool,), lease_seconds=100, router=router)
    LOOKED.clear()
    return Counted(subnet, IPv4Address("10.64.0.1"))


def cards(count: int) -> list[Mac]:
    return [Mac.from_bytes((0x520000000000 + n).to_bytes(6, "big")) for n in range(count)]


def test_of_a_huge_pool_only_what_is_needed_is_looked_at() -> None:
    """It starts at once, and holds nothing of a million addresses but the next few."""
    leases = huge()
    assert LOOKED == []
    assert leases.offer(MACS[0], None, 0.0) == IPv4Address("10.64.0.3")
    assert len(leases.to_probe(0.0)) == RESERVE
    assert len(LOOKED) <= RESERVE + 4
    assert leases.questions <= 4 * RESERVE


def test_a_flood_costs_each_client_the_same() -> None:
    """Thousands of made-up cards, whose offers lapse, then leases that run out, then the same."""
    leases = huge()
    many = cards(3000)
    for now in (0.0, 100.0, 200.0):
        offered = [leases.offer(mac, None, now) for mac in many]
        assert len(set(offered)) == len(many)
    for mac, one in zip(many, offered, strict=True):
        assert one is not None
        assert leases.bind(mac, one, 201.0)
    assert len(LOOKED) <= len(many) + RESERVE
    assert leases.questions <= 10 * 4 * len(many)


def test_a_full_pool_of_lapsed_leases_is_no_dearer() -> None:
    """All were given once: each one that asks now gets the one that ended longest ago."""
    pool = Range("10.64.1.0-10.64.8.255")
    subnet = Subnet(Network("10.64.0.0/12"), (pool,), lease_seconds=100)
    known = [
        Lease(IPv4Address(n), mac, float(n - int(pool.first)))
        for n, mac in zip(range(int(pool.first), int(pool.last) + 1), cards(2048), strict=True)
    ]
    leases = Counted(subnet, IPv4Address("10.64.0.1"), known)
    owned = {mac: lease.address for mac, lease in zip(cards(3000)[2900:], known, strict=False)}
    leases.reserve(owned)
    others = cards(6000)[3000:4948]
    offered = [leases.offer(mac, None, 5000.0) for mac in others]
    assert offered == [lease.address for lease in known[100:]]
    assert leases.questions <= 10 * len(others)
    late, later = cards(7002)[7000:]
    assert leases.offer(late, None, 5000.0) is None
    leases.reserve({})
    assert leases.offer(late, None, 5000.0) == known[0].address
    assert leases.offer(others[0], None, 5100.0) == known[100].address  # the others' have lapsed
    assert leases.offer(later, None, 5100.0) == known[0].address


def test_what_was_offered_untried_is_tried_in_turns() -> None:
    """After a rush at most `ROUND` in one round, each of them once, those that are given not."""
    leases = huge()
    offered = [leases.offer(mac, None, 0.0) for mac in cards(300)]
    assert offered[0] is not None
    assert leases.bind(cards(1)[0], offered[0], 0.0)
    asked: list[IPv4Address] = []
    while found := leases.to_probe(1.0):
        assert len(found) <= ROUND
        asked.extend(found)
        for one in found:
            leases.tried(one, 1.0)
    assert len(asked) == len(set(asked))
    assert set(offered[1:]) <= set(asked)
    assert offered[0] not in asked
    assert len(asked) == len(offered) - 1 + RESERVE


def test_an_offer_that_is_repeated_is_no_new_one() -> None:
    """Firmware asks four times in a minute: its address is tried once, and the reserve stays."""
    leases = huge()
    for one in leases.to_probe(0.0):
        leases.tried(one, 0.0)
    first = leases.offer(MACS[0], None, 1.0)
    assert leases.offer(MACS[0], None, 30.0) == first
    assert len(leases.to_probe(30.0)) == 1  # one more in the reserve, and nothing of the offer
    assert first not in leases.to_probe(30.0)


@pytest.mark.parametrize("count", [3000])
def test_many_at_once(count: int) -> None:
    """Thousands that ask at once get as many addresses, each its own."""
    subnet = Subnet(Network("10.64.0.0/16"), (Range("10.64.1.0-10.64.200.255"),))
    leases = Book(subnet, IPv4Address("10.64.0.1"))
    macs = [Mac.from_bytes((0x520000000000 + n).to_bytes(6, "big")) for n in range(count)]
    offered = [leases.offer(mac, None, 0.0) for mac in macs]
    assert len(set(offered)) == count
    for mac, one in zip(macs, offered, strict=True):
        assert one is not None
        assert leases.bind(mac, one, 1.0)
