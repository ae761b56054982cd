"""`bench-storm`: hundreds of machines at once, and hundreds that install for minutes.

Both storms are `ironwake lab storm`'s: simulated firmware, packet by packet, against the whole
appliance, on the same processors. There is no peer: the goals are numbers. Of a time or a rate the
median of the rounds counts; of what must hold in every round, the worst. Each counts the second
time only: what is kept of each machine for good is there after the first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from ironwake_bench import options
from ironwake_bench.cells import Cell, Goal, report
from ironwake_bench.options import Options
from ironwake_bench.rounds import LEAST, median
from ironwake_lab.storm.machine import Mark
from ironwake_lab.storm.run import StormSpec, raise_and_storm
from ironwake_lab.storm.tally import Result

_START = StormSpec(500, within=1.0, limit=900.0)
_SUSTAINED = StormSpec(1000, within=30.0, installing=250, last=300.0, callbacks=205.0, limit=1500.0)
_FIRST = 30.0  # seconds that the first of two storms lasts at most, besides its boots
_NONE = Goal(0.0, more=False)


@dataclass(frozen=True)
class Figure:
    """One number of a storm, and what it shall be; `fold` makes one of all rounds."""

    name: str
    unit: str
    goal: Goal
    of: Callable[[Result], float]
    fold: Callable[[Iterable[float]], float] = median


def _last(mark: Mark) -> Callable[[Result], float]:
    """When the last machine was there; the limit where one never was."""

    def seconds(result: Result) -> float:
        times = result.times[mark]
        return times.max if times.count == result.clients else _START.limit

    return seconds


def _growth(result: Result) -> float:
    """Of the service whose memory grew most from the first storm's end to the second's."""
    return max(use.rss_after / use.rss_before for use in result.services.values())


def _descriptors(result: Result) -> float:
    """Of the service that has most more of them than before."""
    more = [use.descriptors_after - use.descriptors_before for use in result.services.values()]
    return float(max(0, *more))


_SOUND = (
    Figure("services that ended", "", _NONE, lambda result: float(sum(result.exits.values())), max),
    Figure("orders given twice", "", _NONE, lambda result: float(result.claims_twice), max),
    Figure("reports lost", "", _NONE, lambda result: float(result.reports_lost), max),
    Figure("memory after, of before", "", Goal(1.25, more=False), _growth, max),
    Figure("descriptors more than before", "", Goal(16.0, more=False), _descriptors, max),
)


def _through(machines: float) -> Figure:
    return Figure("through", "machines", Goal(machines), lambda r: float(r.finished), min)


_OF_START = (
    Figure("all offered", "s", Goal(4.0, more=False), _last(Mark.OFFERED)),
    Figure("all with their loader", "s", Goal(60.0, more=False), _last(Mark.LOADER)),
    _through(500.0),
    *_SOUND,
)
_OF_SUSTAINED = (
    Figure("reports", "/s", Goal(200.0), lambda result: result.reports_per_second),
    Figure("report acknowledged, p99", "s", Goal(0.1, more=False), lambda r: r.report_seconds.p99),
    _through(250.0),
    *_SOUND,
)
_STORMS = (  # with the rounds of each, where nobody says how many
    ("500 in 1 s", _START, _OF_START, LEAST),
    ("250 of 1,000 for 5 min", _SUSTAINED, _OF_SUSTAINED, 1),
)


def _second(spec: StormSpec) -> Result:
    """Of two storms of one appliance's the second."""
    first = replace(spec, last=min(spec.last, _FIRST), seed=spec.seed + 1)
    return raise_and_storm(spec, first=first)


def cells(given: Options, storm: Callable[[StormSpec], Result] = _second) -> Iterator[Cell]:
    """A storm is raised only when a cell of it is wanted."""
    for name, spec, figures, least in _STORMS:
        wanted = [figure for figure in figures if given.wants(f"{name}: {figure.name}")]
        if not wanted:
            continue
        results = []
        rounds = given.rounds or least
        for number in range(rounds):
            print(f"{name}: round {number + 1}/{rounds}", file=sys.stderr, flush=True)  # noqa: T201
            results.append(storm(spec))
        for figure in wanted:
            ours = figure.fold(figure.of(result) for result in results)
            yield Cell("storm", f"{name}: {figure.name}", ours, figure.unit, figure.goal)


def main() -> int:
    """Run it."""
    about = "Storms of simulated machines against the appliance."
    return report(cells(options.read(about, least=0)))


if __name__ == "__main__":
    sys.exit(main())
