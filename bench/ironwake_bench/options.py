"""The command line that all benchmarks share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ironwake_bench import rounds


@dataclass(frozen=True)
class Options:
    """`rounds` of each side, 0: as many as a cell has by itself; `cells` is the pattern of those
    that are wanted."""

    rounds: int
    cells: str

    def wants(self, cell: str) -> bool:
        return fnmatchcase(cell, self.cells)


def read(about: str, argv: Sequence[str] | None = None, least: int = rounds.LEAST) -> Options:
    """Of this process, unless `argv` is given; `about` is what is measured, in one sentence.

    `least`: rounds where nobody says how many.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument(
        "--rounds",
        type=_count,
        default=least,
        metavar="N",
        help=f"rounds of each side, of which the median counts (default: {least or 'by the cell'})",
    )
    parser.add_argument(
        "--cell",
        default="*",
        metavar="PATTERN",
        help="measure only cells with such names, as in 'n=8 *' (default: all)",
    )
    given = parser.parse_args(argv)
    return Options(given.rounds, given.cell)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("one round at least")
    return number
