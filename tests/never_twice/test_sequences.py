"""Never twice: whatever happens in whatever order, a disk is given up once per arm, or not at all.

What must hold is said by the invariants below; beside them: an arm is used up by the claim, a copy
that is put back arms nobody, a loader is offered to the machine that is armed and to one that needs
it to reach its disk, and no address is two clients'. What judges all that is the test's own.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from ironwake import loaders
from ironwake.firmware import FIRMWARE
from tests.never_twice.clients import Clients
from tests.never_twice.machines import Machines
from tests.never_twice.misfortunes import Misfortunes
from tests.never_twice.persons import Persons, Reservations
from tests.never_twice.world import CARDS, STRANGER, World


class Sound(Misfortunes):
    """What holds after each step, whatever it was."""

    @invariant()
    def the_services_follow(self) -> None:
        """What the data plane goes by is what the controller says, once it has reached it."""
        self.time_mends()
        if self.rig.line.cut:
            return
        self.rig.tell()
        self.rig.follow()
        assert self.rig.index is not None
        assert self.rig.index.view == self.rig.house.views.index().view

    def teardown(self) -> None:
        try:
            self.sound()
        finally:
            self.rig.close()


class NeverTwice(Persons, Machines, Sound):
    """One installation per arm, beside a foreign DHCP server and with ours."""

    @invariant()
    def every_question_has_an_answer(self) -> None:
        """Each card, known or not, by each firmware: the same reasoned answer, twice."""
        index = self.rig.index
        if index is None:
            return
        for mac in (*CARDS.values(), STRANGER):
            for firmware in FIRMWARE:
                decision = index.resolve(mac, firmware)
                assert decision == index.resolve(mac, firmware)
                assert decision.reason
            for loader in loaders.LOADERS:
                assert index.script(mac, loader) == index.script(mac, loader) != ""

    @invariant()
    def what_is_over_boots_the_disk(self) -> None:
        """With the present view, no script of any route leads to what is over."""
        if self.rig.line.cut or self.rig.index is None:
            return
        self._settle()
        for mac in (*CARDS.values(), STRANGER):
            for loader in loaders.LOADERS:
                self.shows_nothing_dead(self.rig.index.script(mac, loader))

    def _settle(self) -> None:
        """Arms run out by the controller's own rounds; the services hear of it."""
        if any(a.ended == "expired" and not a.taken for a in self.history.arms.values()):
            self.rig.house.housekeeping.keep_time()
            self.rig.follow()


class NeverTwo(Reservations, Clients, Sound):
    """No address at two clients, where we are the DHCP server."""


_USUAL = settings(
    max_examples=120,
    stateful_step_count=30,
    report_multiple_bugs=False,
    # Without `explain`: it would trace every line.
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.parametrize("kind", [NeverTwice, NeverTwo])
def test_never(kind: type[World]) -> None:
    """Hundreds of sequences of anything that can happen: the invariants hold after each step."""
    run_state_machine_as_test(kind, settings=_USUAL)


@pytest.mark.deep
@pytest.mark.parametrize("number", range(20))
@pytest.mark.parametrize(("kind", "sequences"), [(NeverTwice, 500), (NeverTwo, 100)])
def test_never_at_length(kind: type[World], sequences: int, number: int) -> None:
    """The same for 10,000 and 2,000 sequences, in twenty portions with a seed of their own."""
    machine = seed(number)(kind)
    run_state_machine_as_test(machine, settings=settings(_USUAL, max_examples=sequences))
