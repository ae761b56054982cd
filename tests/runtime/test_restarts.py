"""When a child of the supervisor is started again, and when not."""

from __future__ import annotations

import signal

from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import InputError, RefusedError
from ironwake_runtime.supervise import Again, GiveUp, Restarts, describe

_SHORT = 1.0
_LONG = 3600.0


def test_pauses_grow_and_stay_at_ten_seconds() -> None:
    """A child that dies again and again is started less and less often, but always again."""
    restarts = Restarts("tftp")
    verdicts = [restarts.died(1, _SHORT) for _ in range(8)]
    assert verdicts == [Again(pause) for pause in (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 10.0, 10.0)]


def test_a_long_life_is_forgiven() -> None:
    """After half a minute of life, a death counts as the first one again."""
    restarts = Restarts("tftp")
    for _ in range(5):
        restarts.died(-signal.SIGKILL, _SHORT)
    assert restarts.died(-signal.SIGKILL, _LONG) == Again(0.2)
    assert restarts.died(-signal.SIGKILL, _SHORT) == Again(0.5)


@given(st.lists(st.tuples(st.integers(-64, 255), st.floats(0, 1e6)), max_size=20))
def test_wrong_input_is_never_retried(deaths: list[tuple[int, float]]) -> None:
    """Whatever happened before, exit status 2 ends everything, with exit code 2."""
    restarts = Restarts("dhcp")
    for status, lived in deaths:
        restarts.died(status, lived)
    verdict = restarts.died(2, _SHORT)
    assert isinstance(verdict, GiveUp)
    assert isinstance(verdict.error, InputError)
    assert "dhcp" in str(verdict.error)


def test_a_refusal_ends_a_first_start_only() -> None:
    """A second appliance on this host stops with a message; a restart rides out a busy port."""
    verdict = Restarts("controller").died(4, _SHORT)
    assert isinstance(verdict, GiveUp)
    assert isinstance(verdict.error, RefusedError)
    later = Restarts("controller")
    later.died(-signal.SIGKILL, _SHORT)
    assert later.died(4, _SHORT) == Again(0.5)


def test_a_clean_end_is_a_death_too() -> None:
    """A service that simply ends while it should run is started again."""
    assert Restarts("dns").died(0, _SHORT) == Again(0.2)


def test_statuses_are_told_in_words() -> None:
    """A person reads what killed it, not a negative number."""
    assert describe(5) == "exit status 5"
    assert describe(-9) == "killed by SIGKILL"
    assert describe(-64) == "killed by SIGRTMAX"
    assert describe(-200) == "killed by signal 200"
