"""What goes wrong again and again leaves room in the log for everything else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ironwake_agent.complaints import Complaints


def test_one_trouble_is_told_at_once_and_then_seldom() -> None:
    """With how often it was; another trouble is told at once, too."""
    said: list[str] = []
    now = [0.0]
    complain = Complaints(said.append, lambda: now[0])
    for second in range(0, 61, 5):
        now[0] = second
        complain("HTTP 503")
    complain("no route", "waiting")
    often = "HTTP 503 (6 times since it was last told); going on"
    assert said == ["HTTP 503; going on", often, often, "no route; waiting"]


@given(st.lists(st.tuples(st.floats(0, 10), st.text(max_size=3)), max_size=300))
def test_the_lines_are_bounded(troubles: list[tuple[float, str]]) -> None:
    """However many kinds of trouble there are, and however often they come."""
    said: list[str] = []
    now = [0.0]
    complain = Complaints(said.append, lambda: now[0])
    for pause, text in troubles:
        now[0] += pause
        complain(text)
    assert len(said) <= 9 * (1 + now[0] / 30)
