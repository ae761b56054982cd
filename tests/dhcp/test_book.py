"""The book of leases: nobody gets what somebody else has, whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ironwake.ipv4 import Address, Network, Range
from ironwake.mac import Mac
from ironwake.subnet import Subnet
from ironwake_dhcp.book import RESERVE, ROUND, Book, Lease

MACS = tuple(Mac.from_bytes(bytes((0x52, 0, 0, 0, 0, number))) for number in range(1, 7))
STRANGER = "52:00:00:00:00:99"


def address(last: int) -> IPv4Address:
    return IPv4Address(f"10.77.0.{last}")


def book(*known: Lease, first: int = 100, last: int = 103) -> Book:
    """Three addresses to give: .100, .102, .103, and the server's own between them."""
    pool = Range(f"{address(first)}-{address(last)}")
    subnet = Subnet(Network("10.77.0.0/24"), (pool,), lease_seconds=100)
    return Book(subnet, address(101), known)


def test_a_machine_gets_its_last_address_again() -> None:
    """Also after its lease has run out and another one came by, if there is room for both."""
    leases = book()
    (bound,) = leases.bind(MACS[0], address(102), 0.0)
    assert bound == Lease(address(102), MACS[0], 100.0, "", 0.0)
    assert leases.offer(MACS[1], None, 500.0) == address(100)
    assert leases.offer(MACS[0], None, 500.0) == address(102)


def test_an_offer_is_kept_for_its_client() -> None:
    """Two that ask at once are offered different addresses; after a minute the offer is void."""
    leases = book()
    first = leases.offer(MACS[0], None, 0.0)
    assert first is not None
    assert leases.offer(MACS[1], first, 1.0) != first
    assert not leases.bind(MACS[1], first, 1.0)
    assert leases.bind(MACS[2], first, 61.0)


def test_the_wanted_address_is_given_if_free() -> None:
    """A client that names an address of the pool gets it; one outside of it is not given."""
    leases = book()
    assert leases.offer(MACS[0], address(103), 0.0) == address(103)
    assert leases.offer(MACS[1], address(200), 0.0) == address(100)
    assert not leases.bind(MACS[1], address(200), 0.0)


def test_the_servers_own_address_is_never_given() -> None:
    """Even when the pool runs over it, or a reservation names it."""
    leases = book()
    leases.reserve({MACS[0]: address(101)})
    assert not leases.bind(MACS[0], address(101), 0.0)
    assert address(101) not in leases.to_probe(0.0)


def test_a_used_up_pool_offers_nothing() -> None:
    """Three leases, three addresses: the fourth client gets none until one has run out."""
    leases = book()
    for mac in MACS[:3]:
        offered = leases.offer(mac, None, 0.0)
        assert offered is not None
        leases.bind(mac, offered, 0.0)
    assert leases.offer(MACS[3], None, 99.0) is None
    assert leases.offer(MACS[3], None, 101.0) is not None


def test_the_address_that_ended_longest_ago_goes_first() -> None:
    """Of those that were given before; who renewed keeps its own the longer."""
    leases = book()
    for number, last in enumerate((100, 102, 103)):
        leases.bind(MACS[number], address(last), float(number))
    leases.bind(MACS[0], address(100), 50.0)
    assert leases.offer(MACS[4], None, 200.0) == address(102)
    assert leases.offer(MACS[5], None, 200.0) == address(103)


def test_release_and_decline_are_the_owners_to_say() -> None:
    """Nobody else can take a lease away; a declined address rests for ten minutes."""
    leases = book()
    leases.bind(MACS[0], address(100), 0.0)
    assert not leases.release(MACS[1], address(100), 1.0)
    assert not leases.decline(MACS[1], address(100), 1.0)
    assert leases.decline(MACS[0], address(100), 1.0) == (Lease(address(100), "", 601.0),)
    assert not leases.free(address(100), MACS[0], 600.0)
    assert leases.free(address(100), MACS[1], 601.0)
    leases.bind(MACS[1], address(102), 2.0)
    assert [one.expires for one in leases.release(MACS[1], address(102), 3.0)] == [3.0]
    assert leases.free(address(102), MACS[2], 3.0)


def test_a_card_has_one_address() -> None:
    """Who takes a second one gives the first one back, and keeps its place in the order."""
    leases = book()
    leases.bind(MACS[0], address(100), 5.0)
    ended, bound = leases.bind(MACS[0], address(102), 9.0, "node")
    assert (ended.address, ended.expires) == (address(100), 9.0)
    assert bound == Lease(address(102), MACS[0], 109.0, "node", 5.0)
    assert leases.free(address(100), MACS[1], 9.0)


def test_leases_outlive_the_process() -> None:
    """A book opened with what was written down refuses the same, and remembers the same."""
    before = book()
    before.bind(MACS[0], address(100), 0.0)
    after = book(*before.all())
    assert not after.bind(MACS[1], address(100), 1.0)
    assert after.offer(MACS[0], None, 1.0) == address(100)
    older = Lease(address(102), MACS[0], -5.0)  # where it was before
    assert book(*before.all(), older).offer(MACS[0], None, 200.0) == address(100)


def test_a_reserved_address_is_its_owners() -> None:
    """In the pool or beside it: its card is offered it, nobody else gets it, not even by asking."""
    leases = book()
    leases.reserve({MACS[0]: address(100), MACS[1]: address(50)})
    assert leases.offer(MACS[2], address(100), 0.0) == address(102)
    assert not leases.bind(MACS[2], address(50), 0.0)
    assert leases.offer(MACS[0], address(103), 0.0) == address(100)
    assert leases.bind(MACS[1], address(50), 0.0)
    assert leases.offer(MACS[3], None, 0.0) == address(103)
    assert leases.offer(MACS[4], None, 0.0) is None


def test_a_reservation_waits_for_whoever_has_the_address() -> None:
    """It is not renewed for the old one; meanwhile the new one gets another address."""
    leases = book()
    leases.bind(MACS[0], address(100), 0.0)
    leases.reserve({MACS[1]: address(100)})
    assert leases.offer(MACS[1], None, 1.0) == address(102)
    assert not leases.bind(MACS[0], address(100), 50.0)
    assert leases.offer(MACS[1], None, 101.0) == address(100)


def test_addresses_are_tried_before_anyone_asks() -> None:
    """Those that nobody answered at are given first; each is asked for once at a time."""
    leases = book()
    assert leases.to_probe(0.0) == (address(100), address(102), address(103))
    assert leases.to_probe(0.0) == ()
    leases.tried(address(103), 1.0)
    assert leases.offer(MACS[0], None, 2.0) == address(103)
    assert leases.to_probe(2.0) == ()
    assert leases.to_probe(400.0) == (address(103),)  # the others are still being asked


def test_a_large_pool_keeps_a_small_reserve() -> None:
    """Not the whole pool is asked for, and what was given is replaced."""
    leases = book(first=2, last=99)
    tried = leases.to_probe(0.0)
    assert len(tried) == RESERVE
    for one in tried:
        leases.tried(one, 1.0)
    assert leases.to_probe(1.0) == ()
    leases.bind(MACS[0], tried[0], 2.0)
    assert len(leases.to_probe(2.0)) == 1


def test_an_address_in_use_is_put_aside() -> None:
    """It is given to nobody for ten minutes, also where it was offered untried already."""
    leases = book()
    offered = leases.offer(MACS[0], None, 0.0)
    assert offered == address(100)
    assert address(100) in leases.to_probe(0.0)
    assert leases.in_use(address(100), STRANGER, 1.0) == (Lease(address(100), "", 601.0),)
    assert not leases.bind(MACS[0], address(100), 2.0)
    assert not leases.in_use(address(100), STRANGER, 3.0)  # said already
    leases.tried(address(100), 4.0)
    assert leases.offer(MACS[0], None, 5.0) == address(102)


def test_the_client_itself_is_no_conflict() -> None:
    """A client that answers at the address that it was offered, or has, is there by right."""
    leases = book()
    leases.offer(MACS[0], None, 0.0)
    leases.to_probe(0.0)
    assert not leases.in_use(address(100), MACS[0], 1.0)
    assert leases.bind(MACS[0], address(100), 2.0)


def test_who_outstays_its_lease_finds_it_again() -> None:
    """A client that never renewed and goes on is left its address, and nobody else gets that."""
    leases = book()
    leases.bind(MACS[0], address(100), 0.0)
    for number, last in enumerate((102, 103), 1):
        leases.bind(MACS[number], address(last), 90.0)
    assert leases.to_probe(150.0) == (address(100),)
    (kept,) = leases.in_use(address(100), MACS[0], 151.0)
    assert (kept.mac, kept.expires) == (MACS[0], 751.0)
    assert leases.offer(MACS[3], None, 152.0) is None
    assert leases.offer(MACS[0], None, 152.0) == address(100)


class AnyOrder(RuleBasedStateMachine):
    """Any order of asking, taking, giving back, trying, reserving and waiting, with restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.leases = book()
        self.journal: dict[IPv4Address, Lease] = {}
        self.reserved: dict[Mac, IPv4Address] = {}

    def note(self, changed: tuple[Lease, ...]) -> None:
        for lease in changed:
            before = self.journal.get(lease.address)
            live = before is not None and before.mac and before.expires > self.now
            # No address has two live owners: only its own owner's word changes a live lease.
            assert not live or before is None or lease.mac in ("", before.mac)
            self.journal[lease.address] = lease

    @rule(mac=st.sampled_from(MACS), last=st.none() | st.integers(99, 104))
    def ask(self, mac: Mac, last: int | None) -> None:
        offered = self.leases.offer(mac, None if last is None else address(last), self.now)
        if offered is None:
            return
        assert self.leases.free(offered, mac, self.now)
        held = self.journal.get(offered)
        assert held is None or held.mac == mac or held.expires <= self.now
        mine = self.reserved.get(mac)
        if mine is not None and mine != offered:
            assert not self.leases.free(mine, mac, self.now)

    @rule(mac=st.sampled_from(MACS), last=st.integers(98, 104))
    def take(self, mac: Mac, last: int) -> None:
        held = self.journal.get(address(last))
        changed = self.leases.bind(mac, address(last), self.now)
        if changed:
            assert held is None or held.mac == mac or held.expires <= self.now
            others = [a for m, a in self.reserved.items() if m != mac]
            assert address(last) not in others
        self.note(changed)

    @rule(mac=st.sampled_from(MACS), last=st.integers(98, 104))
    def give_back(self, mac: Mac, last: int) -> None:
        self.note(self.leases.release(mac, address(last), self.now))

    @rule(mac=st.sampled_from(MACS), last=st.integers(98, 104))
    def decline(self, mac: Mac, last: int) -> None:
        self.note(self.leases.decline(mac, address(last), self.now))

    @rule(answers=st.dictionaries(st.integers(98, 104), st.sampled_from((*MACS, STRANGER, ""))))
    def probe(self, answers: dict[int, str]) -> None:
        for one in self.leases.to_probe(self.now):
            by = answers.get(int(one) & 255)
            if by is not None:
                self.note(self.leases.in_use(one, by, self.now))
            self.leases.tried(one, self.now)

    @rule(macs=st.permutations(MACS), lasts=st.sets(st.sampled_from((98, 100, 103))))
    def reserve(self, macs: list[Mac], lasts: set[int]) -> None:
        self.reserved = dict(zip(macs, map(address, sorted(lasts)), strict=False))
        self.leases.reserve(self.reserved)

    @rule(seconds=st.floats(0, 200))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        self.leases = book(*self.journal.values())
        self.leases.reserve(self.reserved)

    @invariant()
    def what_is_written_is_what_is_held(self) -> None:
        assert {lease.address: lease for lease in self.leases.all()} == self.journal

    @invariant()
    def no_card_has_two_addresses(self) -> None:
        live = [one.mac for one in self.journal.values() if one.mac and one.expires > self.now]
        # One that outstays its lease (see above) may have had another in the meantime.
        assert len(live) - len(set(live)) <= 1


AnyOrder.TestCase.settings = settings(max_examples=80, stateful_step_count=40)
TestAnyOrder = AnyOrder.TestCase


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
