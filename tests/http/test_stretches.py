"""How much of a file is given to the kernel at once. Pure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ironwake_http.limits import Limits
from ironwake_http.sending import next_stretch

_LIMITS = Limits()


@given(st.integers(1, 1 << 30), st.floats(0, 1e6))
def test_a_stretch_is_through_in_time(size: int, seconds: float) -> None:
    """At the speed of the last one, the next needs an eighth of the stall, or is the shortest."""
    least, stall = _LIMITS.stretch, _LIMITS.stall
    found = next_stretch(size, seconds, least, stall)
    assert found >= least
    assert found == least or seconds == 0 or found * seconds / size <= stall / 8 + 1e-6


def test_a_fast_client_gets_long_ones() -> None:
    """100 MB/s: a hundred megabytes in a few stretches, not in a hundred."""
    assert next_stretch(1 << 20, 0.01, _LIMITS.stretch, _LIMITS.stall) == 16 << 20
    assert next_stretch(1 << 18, 2.0, _LIMITS.grub_stretch, _LIMITS.grub_stall) == 491_520
