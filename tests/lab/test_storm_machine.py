"""A storm's machines get through whatever comes, never go round in circles, and claim once."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ironwake_lab.storm import tally
from ironwake_lab.storm.frames import Datagram
from ironwake_lab.storm.machine import Fetch, Habits, Mark
from ironwake_lab.storm.roms import Kind
from ironwake_lab.storm.weather import Climate
from tests.lab.storm_world import OURS, Appliance, World, machine

KINDS = list(Kind)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gets_to_its_health_report(kind: Kind) -> None:
    """Each firmware goes all the way, in the order of the hops, and is refused a second order."""
    appliance = Appliance()
    one = machine(kind)
    World(one, appliance).run()
    assert one.history.end == ""
    assert list(one.history.marks) == list(Mark)
    assert appliance.heard == ["facts", *["installing"] * 8, "installed", "health"]
    assert len(one.history.granted) == 1
    assert one.history.refused_again == 1


@pytest.mark.parametrize("kind", [Kind.UEFI, Kind.BIOS, Kind.IPXE])
def test_a_boot_server_is_asked_when_the_offer_names_no_file_of_its_own(kind: Kind) -> None:
    """Without "use this file", an offer leads to port 4011, or to its own file."""
    one = machine(kind)
    World(one, Appliance(), discovery=b"").run()
    assert Mark.SUCCEEDED in one.history.marks


@given(st.sampled_from(KINDS), st.integers(0, 2**32), st.floats(0, 0.2), st.floats(0, 0.2))
# Another transfer's server went on and on, and each of its datagrams put off the machine's own try.
@example(Kind.UEFI, 3275703684, 0.19188126990576426, 0.07397543441004568)
@settings(max_examples=60)
def test_weather_delays_and_does_not_stop(
    kind: Kind, seed: int, loss: float, disorder: float
) -> None:
    """Under loss, duplication and reordering it ends, well or after its last boot; the order is
    given to one boot only, and every report that was acknowledged was heard."""
    appliance = Appliance()
    one = machine(kind, seed)
    World(one, appliance, Climate(loss, disorder, disorder), seed).run()
    assert len(one.history.granted) <= 1
    assert len(one.history.heard) <= len(appliance.heard)
    assert (Mark.SUCCEEDED in one.history.marks) or one.history.end


@given(
    st.sampled_from(KINDS),
    st.integers(0, 2**32),
    st.lists(st.tuples(st.sampled_from([0, 200, 204, 404, 410, 500, 503]), st.binary(max_size=40))),
)
@settings(max_examples=60)
def test_whatever_is_answered_it_comes_to_an_end(
    kind: Kind, seed: int, answers: list[tuple[int, bytes]]
) -> None:
    """Nonsense by HTTP makes it give up at last, not ask for ever."""
    chance = random.Random(seed)
    one = machine(kind, seed, Habits(boots=3))
    World(one, lambda _: chance.choice(answers) if answers else (503, b"")).run()
    assert one.history.over


@given(st.integers(0, 2**32), st.lists(st.binary(max_size=400), max_size=30))
@settings(max_examples=60)
def test_stray_datagrams_change_nothing(seed: int, noise: list[bytes]) -> None:
    """Whatever else arrives on its ports, it gets through."""
    chance = random.Random(seed)
    one = machine(Kind.UEFI, seed)
    world = World(one, Appliance())
    for payload in noise:
        port = chance.choice([68, 4011, 25300, 1025])
        heard = Datagram(OURS, b"\x0a\x4d\x10\x01", chance.choice([67, 69, 4011]), port, payload)
        world.later(chance.uniform(0, 30), lambda heard=heard: one.heard(heard, world.now))  # type: ignore[misc]
    world.run()
    assert Mark.SUCCEEDED in one.history.marks


def test_rivals_of_which_one_is_served() -> None:
    """Two boots at once ask for the order: one goes on with it, the other was refused."""
    appliance = Appliance()
    one = machine(habits=Habits(rivals=1.0))
    World(one, appliance).run()
    assert sum(path.endswith("/order") for path in appliance.asked) == 3
    assert one.history.granted == {appliance.claimed}
    assert one.history.refused_again == 2
    assert tally.claims_twice([one], tally.Recorded({}, {})) == 0


def test_an_order_given_twice_is_found_out() -> None:
    """An appliance that hands the order to whoever asks is told of."""
    appliance = Appliance()

    def generous(fetch: Fetch) -> tuple[int, bytes]:
        appliance.claimed = ""
        return appliance(fetch)

    one = machine()
    World(one, generous).run()
    assert tally.claims_twice([one], tally.Recorded({}, {})) == 1


def test_reports_that_the_history_lacks_are_found_out() -> None:
    """What was acknowledged and is not in the appliance's own history is counted as lost."""
    one = machine()
    World(one, Appliance()).run()
    said = [
        {"machine": one.name, "kind": "progress", "message": h.what} for h in one.history.heard[1:9]
    ]
    others = [{"machine": one.name, "kind": k} for k in ("facts", "installed", "healthy")]
    assert tally.reports_lost([one], tally.Recorded.of([*said, *others])) == 0
    assert tally.reports_lost([one], tally.Recorded.of([*said[1:], *others])) == 1


def test_a_claimed_twice_history_is_found_out() -> None:
    """Two claims in the appliance's own history count as one machine's, whatever it was told."""
    one = machine()
    events = [{"machine": one.name, "kind": "claimed", "message": ""}] * 2
    assert tally.claims_twice([one], tally.Recorded.of(events)) == 1


def test_a_machine_that_is_sent_to_its_disk_starts_anew_and_gives_up() -> None:
    """A script that starts nothing is no boot: the reason stands in its history."""
    one = machine(habits=Habits(boots=2))
    World(
        one, lambda _: (200, b'echo "Ironwake: not armed; booting the local disk"\nexit 1\n')
    ).run()
    assert one.history.failures == ["sent to its disk: not armed; booting the local disk"] * 2
    assert one.history.end.startswith("gave up")
