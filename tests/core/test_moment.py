"""Terms outlive leaps of the time of day, and restarts of the host as well as can be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ironwake.moment import Moment

YEAR = 365 * 86_400.0
WRITTEN = Moment("run-1", 1000.0, 1.8e9)
seconds = st.floats(-YEAR, YEAR)


@given(term=seconds, passed=st.floats(0, YEAR), leap=seconds)
def test_a_leap_changes_no_term(term: float, passed: float, leap: float) -> None:
    """In the same run of the kernel, the time of day has no say."""
    now = Moment("run-1", WRITTEN.steady + passed, WRITTEN.wall + passed + leap)
    assert now.carried(WRITTEN.steady + term, WRITTEN) == WRITTEN.steady + term


@given(term=st.floats(0, YEAR), away=st.floats(0, YEAR))
def test_after_a_restart_of_the_host_the_time_of_day_tells(term: float, away: float) -> None:
    """What is left is what was left, less the time that the host was away."""
    now = Moment("run-2", 7.0, WRITTEN.wall + away)
    left = now.carried(WRITTEN.steady + term, WRITTEN) - now.steady
    assert abs(left - (term - away)) < 1e-3


@given(term=seconds, back=st.floats(0, YEAR))
def test_a_clock_that_went_back_gives_no_more(term: float, back: float) -> None:
    """No term is longer after a restart than when it was written; what began stays begun."""
    now = Moment("run-2", 7.0, WRITTEN.wall - back)
    assert now.carried(WRITTEN.steady + term, WRITTEN) - now.steady <= term + 1e-3


def test_what_was_written_before_a_leap_is_dated_as_after_it() -> None:
    """The time of day that was known last is the one that was set right."""
    later = Moment("run-1", 1600.0, WRITTEN.wall + 600.0 + YEAR)
    assert WRITTEN.dated_by(later) == Moment("run-1", 1000.0, WRITTEN.wall + YEAR)
    assert later.date(1000.0) == WRITTEN.wall + YEAR
