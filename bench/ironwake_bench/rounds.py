"""Rounds: each side in its turn, so that a noisy host troubles all alike."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

LEAST = 5
_T = TypeVar("_T")


def interleave(
    sides: Mapping[str, Callable[[], _T]], rounds: int = LEAST, about: str = ""
) -> dict[str, list[_T]]:
    """Measure every side once per round, each round in the other order; all results by side.

    Progress goes to standard error, which is not what a benchmark is read for.
    """
    results: dict[str, list[_T]] = {name: [] for name in sides}
    order = list(sides)
    for number in range(rounds):
        for name in order if number % 2 == 0 else reversed(order):
            print(f"{about or 'round'} {number + 1}/{rounds}: {name}", file=sys.stderr, flush=True)  # noqa: T201
            results[name].append(sides[name]())
    return results


def median(figures: Iterable[float]) -> float:
    return float(statistics.median(figures))
