"""What a benchmark prints: one JSON object per cell, and the worst of them last."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """`factor` times the peer's figure (or, without a peer, the figure itself), reached from above
    (`more` is better) or from below."""

    factor: float
    more: bool = True

    def margin(self, ours: float, peer: float | None) -> float:
        """1.0 is exactly met, 2.0 twice as good, 0.5 half way."""
        bound = self.factor * (1.0 if peer is None else peer)
        good, bad = (ours, bound) if self.more else (bound, ours)
        if bad <= 0:  # a cost too small to be seen, or a peer that did not get through at all
            return _UNBOUNDED if good > 0 else 1.0
        return min(good / bad, _UNBOUNDED)

    def text(self, unit: str, *, with_peer: bool) -> str:
        """As people write it: `>= 1.5x peer`, `<= 4 s`."""
        sign = ">=" if self.more else "<="
        return f"{sign} {self.factor:g}x peer" if with_peer else f"{sign} {self.factor:g} {unit}"


_UNBOUNDED = 1000.0  # JSON has no infinity


@dataclass(frozen=True)
class Cell:
    """One figure, the median of its rounds; no peer where the goal is a fixed number."""

    bench: str
    cell: str
    ours: float
    unit: str
    goal: Goal
    peer: float | None = None
    peer_name: str | None = None

    @property
    def margin(self) -> float:
        return self.goal.margin(self.ours, self.peer)

    def line(self, cell: str | None = None) -> str:
        """The JSON object, in a fixed order of keys; `cell` in place of its own name."""
        return json.dumps(
            {
                "bench": self.bench,
                "cell": cell or self.cell,
                "ours": _short(self.ours),
                "peer": None if self.peer is None else _short(self.peer),
                "peer_name": self.peer_name,
                "unit": self.unit,
                "goal": self.goal.text(self.unit, with_peer=self.peer is not None),
                "margin": _short(self.margin),
                **({"of": self.cell} if cell else {}),
            }
        )


def report(cells: Iterable[Cell]) -> int:
    """Print each cell as soon as it is there, and the one with the smallest margin last.

    Returns an exit code: a goal that is missed is a finding, not a failure of the benchmark, so it
    is 1 only when there was no cell at all.
    """
    seen: list[Cell] = []
    try:
        for cell in cells:
            print(cell.line(), flush=True)  # noqa: T201 (this is what a benchmark is for)
            seen.append(cell)
    finally:  # whatever ended it, what was measured until then counts
        if seen:
            worst = min(seen, key=lambda cell: cell.margin)
            print(worst.line("worst"), flush=True)  # noqa: T201
    return 0 if seen else 1


def _short(number: float) -> float:
    """Four significant digits: more would pretend a precision that no shared machine has."""
    return float(f"{number:.4g}")
