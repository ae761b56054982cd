"""The book of leases: nobody gets what somebody else has, whatever happens in between."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ironwake.errors import InputError
from ironwake.mac import Mac
from ironwake_dhcp.leases import Lease, Leases, Pool

NETWORK = IPv4Network("10.77.0.0/24")
MACS = tuple(Mac.from_bytes(bytes((0x52, 0, 0, 0, 0, number))) for number in range(1, 7))


def address(last: int) -> IPv4Address:
    return IPv4Address(f"10.77.0.{last}")


def pool(first: int = 100, last: int = 103, server: int = 101) -> Pool:
    """Three addresses to give: .100, .102, .103, and the server's own between them."""
    return Pool(NETWORK, address(first), address(last), address(server), seconds=100)


def test_a_machine_gets_its_last_address_again() -> None:
    """Also after its lease has run out and another one came by, if there is room for both."""
    leases = Leases(pool())
    assert leases.bind(MACS[0], address(102), 0.0) == Lease(address(102), MACS[0], 100.0)
    assert leases.offer(MACS[1], None, 500.0) == address(100)
    assert leases.offer(MACS[0], None, 500.0) == address(102)


def test_an_offer_is_kept_for_its_client() -> None:
    """Two that ask at once are offered different addresses; after a minute the offer is void."""
    leases = Leases(pool())
    first = leases.offer(MACS[0], None, 0.0)
    assert first is not None
    assert leases.offer(MACS[1], first, 1.0) != first
    assert leases.bind(MACS[1], first, 1.0) is None
    assert leases.bind(MACS[2], first, 61.0) is not None


def test_the_wanted_address_is_given_if_free() -> None:
    """A client that names an address of the pool gets it; one outside of it is not given."""
    leases = Leases(pool())
    assert leases.offer(MACS[0], address(103), 0.0) == address(103)
    assert leases.offer(MACS[1], address(200), 0.0) == address(100)
    assert leases.bind(MACS[1], address(200), 0.0) is None


def test_the_servers_own_address_is_never_given() -> None:
    """Even when the pool runs over it."""
    leases = Leases(pool())
    assert leases.bind(MACS[0], address(101), 0.0) is None
    assert address(101) not in set(pool())


def test_a_used_up_pool_offers_nothing() -> None:
    """Three leases, three addresses: the fourth client gets none until one has run out."""
    leases = Leases(pool())
    for mac in MACS[:3]:
        offered = leases.offer(mac, None, 0.0)
        assert offered is not None
        leases.bind(mac, offered, 0.0)
    assert leases.offer(MACS[3], None, 99.0) is None
    assert leases.offer(MACS[3], None, 101.0) is not None


def test_release_and_decline_are_the_owners_to_say() -> None:
    """Nobody else can take a lease away; a declined address rests for ten minutes."""
    leases = Leases(pool())
    leases.bind(MACS[0], address(100), 0.0)
    assert leases.release(MACS[1], address(100), 1.0) is None
    assert leases.decline(MACS[1], address(100), 1.0) is None
    assert leases.decline(MACS[0], address(100), 1.0) == Lease(address(100), "", 601.0)
    assert not leases.free(address(100), MACS[0], 600.0)
    assert leases.free(address(100), MACS[1], 601.0)
    leases.bind(MACS[1], address(102), 2.0)
    assert leases.release(MACS[1], address(102), 3.0) == Lease(address(102), MACS[1], 3.0)
    assert leases.free(address(102), MACS[2], 3.0)


def test_leases_outlive_the_process() -> None:
    """A book opened with what was written down refuses the same, and remembers the same."""
    before = Leases(pool())
    before.bind(MACS[0], address(100), 0.0)
    after = Leases(pool(), before.all())
    assert after.bind(MACS[1], address(100), 1.0) is None
    assert after.offer(MACS[0], None, 1.0) == address(100)
    smaller = Leases(pool(first=102), before.all())
    assert smaller.all() == ()


@pytest.mark.parametrize(("first", "last"), [(103, 100), (0, 10), (100, 255)])
def test_a_pool_that_does_not_fit_is_refused(first: int, last: int) -> None:
    """Upside down, or over the network's or the broadcast address."""
    with pytest.raises(InputError, match="does not fit"):
        pool(first, last)


def test_a_pool_outside_the_network_is_refused() -> None:
    """Addresses that the interface's network does not have can't be routed back."""
    with pytest.raises(InputError, match=r"10\.78\.0\.10"):
        Pool(NETWORK, IPv4Address("10.78.0.10"), IPv4Address("10.78.0.20"), address(1))


class Book(RuleBasedStateMachine):
    """Any order of asking, taking, giving back and waiting, with a restart now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.leases = Leases(pool())
        self.journal: dict[IPv4Address, Lease] = {}
        self.owners: dict[IPv4Address, tuple[str, float]] = {}

    @initialize()
    def start(self) -> None:
        self.leases = Leases(pool())

    def note(self, lease: Lease | None) -> None:
        if lease is not None:
            self.journal[lease.address] = lease
            self.owners[lease.address] = (lease.mac, lease.expires)

    @rule(mac=st.sampled_from(MACS), last=st.none() | st.integers(99, 104))
    def ask(self, mac: Mac, last: int | None) -> None:
        offered = self.leases.offer(mac, None if last is None else address(last), self.now)
        if offered is not None:
            assert self.leases.free(offered, mac, self.now)
            owner, until = self.owners.get(offered, ("", 0.0))
            assert owner == mac or until <= self.now

    @rule(mac=st.sampled_from(MACS), last=st.integers(99, 104))
    def take(self, mac: Mac, last: int) -> None:
        owner, until = self.owners.get(address(last), ("", 0.0))
        lease = self.leases.bind(mac, address(last), self.now)
        assert lease is None or owner == mac or until <= self.now
        self.note(lease)

    @rule(mac=st.sampled_from(MACS), last=st.integers(99, 104))
    def give_back(self, mac: Mac, last: int) -> None:
        self.note(self.leases.release(mac, address(last), self.now))

    @rule(mac=st.sampled_from(MACS), last=st.integers(99, 104))
    def decline(self, mac: Mac, last: int) -> None:
        self.note(self.leases.decline(mac, address(last), self.now))

    @rule(seconds=st.floats(0, 200))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        self.leases = Leases(pool(), self.journal.values())

    @invariant()
    def what_is_written_is_what_is_held(self) -> None:
        assert {lease.address: lease for lease in self.leases.all()} == self.journal


Book.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBook = Book.TestCase
