"""The book of leases, whatever is asked of it in whatever order: a state machine of its own."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ironwake.mac import Mac
from ironwake_dhcp.book import Lease
from tests.dhcp.books import MACS, STRANGER, address, book


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
