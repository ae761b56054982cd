"""Deployments move forward, by evidence, and end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.deadlines import DEADLINES
from ironwake.errors import RefusedError
from ironwake.lifecycle import BOOTABLE, ENDS, TABLE, Evidence, State, accepts, advance

ORDER = list(State)
EVIDENCE = st.lists(st.sampled_from(list(Evidence)), max_size=60)


def _run(evidence: list[Evidence]) -> list[State]:
    states = [State.REQUESTED]
    for item in evidence:
        if accepts(states[-1], item):
            states.append(advance(states[-1], item))
    return states


@given(EVIDENCE)
def test_states_only_move_forward(evidence: list[Evidence]) -> None:
    """Whatever is reported in whatever order, no deployment goes back."""
    places = [ORDER.index(state) for state in _run(evidence)]
    assert places == sorted(places)


@given(EVIDENCE)
def test_at_most_one_claim_per_deployment(evidence: list[Evidence]) -> None:
    """The destructive point is passed once, and only after an arming."""
    states = [State.REQUESTED]
    claims = 0
    for item in evidence:
        if accepts(states[-1], item):
            claims += item is Evidence.CLAIMED
            states.append(advance(states[-1], item))
    assert claims <= 1
    if claims:
        assert State.ARMED in states


def test_after_the_claim_nothing_is_bootable_again() -> None:
    """No path leads from `answers` back to a state in which we boot the machine."""
    reached, todo = set(), [State.ANSWERS]
    while todo:
        state = todo.pop()
        if state not in reached:
            reached.add(state)
            todo.extend(TABLE[state].values())
    assert not reached & BOOTABLE


def test_a_refusal_says_what_is_possible() -> None:
    """The error lists the evidence that the state takes."""
    with pytest.raises(RefusedError) as caught:
        advance(State.ANSWERS, Evidence.HEALTH)
    assert "progress" in str(caught.value)


def test_every_state_that_waits_has_a_deadline() -> None:
    """A machine cannot wait for ever in silence: each waiting state says what to do."""
    passing = {State.REQUESTED, State.HEALTHY}
    assert set(DEADLINES) == set(State) - ENDS - passing
    assert all(row.seconds > 0 and row.cause and row.next_step for row in DEADLINES.values())


def test_an_end_takes_no_evidence() -> None:
    """succeeded, failed, cancelled and expired are final."""
    assert {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED} == ENDS
