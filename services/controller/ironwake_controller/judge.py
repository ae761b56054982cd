"""Is it stuck? Pure: how long nothing was heard goes in, what a person should read comes out."""

from __future__ import annotations

from dataclasses import dataclass

from ironwake.deadlines import DEADLINES
from ironwake.lifecycle import State


@dataclass(frozen=True)
class Stuck:
    """In which stage, why as far as can be told, and what to do."""

    stage: State
    cause: str
    next_step: str


def stuck(state: State, quiet: float, scale: float = 1.0) -> Stuck | None:
    """The judgement on a deployment of which nothing was heard for `quiet` seconds in `state`."""
    deadline = DEADLINES.get(state)
    if deadline is None or quiet < deadline.seconds * scale:
        return None
    return Stuck(state, deadline.cause, deadline.next_step)


def patience(state: State) -> float:
    """Seconds until a deployment in this state, of which nothing is heard, is stuck."""
    return DEADLINES[state].seconds
