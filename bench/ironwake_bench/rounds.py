"""Rounds: each side in its turn, so that a noisy host troubles all alike."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

LEAST = 5
OURS = "ours"  # the side that must be without fault
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


def complain(bench: str, side: str, seen: object) -> None:
    """Not all of a round was served. By us, that ends the benchmark; a peer's goes on, and is said:
    what it did not serve does not count for it."""
    words = f"bench-{bench}: {side}: not all was served: {seen}"
    if side == OURS:
        raise SystemExit(words)
    print(words, file=sys.stderr, flush=True)  # noqa: T201


def median(figures: Iterable[float]) -> float:
    return float(statistics.median(figures))
