"""The book of leases: nobody gets what somebody else has, whatever happens in between."""

from __future__ import annotations

from ironwake_dhcp.book import RESERVE, Lease
from tests.dhcp.books import MACS, STRANGER, address, book


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
