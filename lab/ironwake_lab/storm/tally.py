"""What a storm has shown: times, claims, reports, services; one object, printed or as JSON."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ironwake_lab.storm.machine import Machine, Mark


@dataclass(frozen=True)
class Times:
    """Seconds from each machine's power button, of those `count` that came so far."""

    count: int
    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Times:
        rows = sorted(seconds)
        if not rows:
            return cls(0, 0.0, 0.0, 0.0)
        return cls(len(rows), _at(rows, 0.5), _at(rows, 0.99), round(rows[-1], 3))


@dataclass(frozen=True)
class ServiceUse:
    """Octets of memory and open descriptors, before and after, and processor seconds between."""

    rss_before: int
    rss_after: int
    rss_peak: int
    descriptors_before: int
    descriptors_after: int
    cpu: float


@dataclass(frozen=True)
class Result:
    """`clients` were stormed, `finished` of them reported healthy. Times are by hop.

    `claims_twice`: orders given to more than one boot (must be 0), by what machines got and by the
    appliance's own history. `reports_lost`: those that were acknowledged, and are not in it, or
    that nobody took (must be 0). `reports_per_second` is while all of them installed, and
    `report_seconds` from a report's connection to its acknowledgement. `exits`: services that ended
    by themselves.
    """

    clients: int
    finished: int
    seconds: float
    times: dict[str, Times]
    claims_twice: int
    claims_refused: int
    reports_heard: int
    reports_lost: int
    reports_per_second: float
    report_seconds: Times
    boots_failed: dict[str, int]
    unfinished: dict[str, int]
    octets: int
    exits: dict[str, int]
    kills: dict[str, int]
    services: dict[str, ServiceUse]
    weather: dict[str, int]
    wire: dict[str, int]
    generator_cpu: float

    @property
    def is_sound(self) -> bool:
        """Whether nothing happened that must not."""
        wrong = self.claims_twice + self.reports_lost + sum(self.exits.values())
        return not wrong and self.finished == self.clients


def times(machines: Sequence[Machine]) -> dict[str, Times]:
    """By mark."""
    return {
        str(mark): Times.of(m.history.marks[mark] for m in machines if mark in m.history.marks)
        for mark in Mark
    }


def failures(machines: Sequence[Machine]) -> dict[str, int]:
    """Why boots failed, and how often."""
    return dict(Counter(why for machine in machines for why in machine.history.failures))


def unfinished(machines: Sequence[Machine]) -> dict[str, int]:
    """How those ended that did not report healthy."""
    left = [m for m in machines if Mark.SUCCEEDED not in m.history.marks]
    return dict(Counter(m.history.end or "stopped on its way" for m in left))


def report_times(machines: Sequence[Machine]) -> Times:
    """How long the appliance took to acknowledge each report."""
    return Times.of(heard.seconds for m in machines for heard in m.history.heard)


def report_rate(machines: Sequence[Machine]) -> float:
    """Reports a second while all machines installed: from the last one's first to the first one's
    last; over the whole storm where there was no such time."""
    lives = [[heard.when for heard in m.history.heard] for m in machines if m.history.heard]
    if not lives:
        return 0.0
    every = sorted(when for life in lives for when in life)
    # The first is the facts, the last two are the end and the health report.
    inner = [life[1:-2] for life in lives if len(life) > 4]
    begin = max((life[0] for life in inner), default=every[0])
    end = min((life[-1] for life in inner), default=every[-1])
    if end - begin < 1.0:
        begin, end = every[0], every[-1]
    return round(sum(begin <= when <= end for when in every) / max(end - begin, 1.0), 1)


@dataclass(frozen=True)
class Recorded:
    """The appliance's own history of the storm: by machine, how often claimed, what was heard."""

    claimed: Mapping[str, int]
    heard: Mapping[str, set[str]]

    @classmethod
    def of(cls, events: Iterable[Mapping[str, Any]]) -> Recorded:
        claimed: Counter[str] = Counter()
        heard: defaultdict[str, set[str]] = defaultdict(set)
        for event in events:
            name, kind = str(event["machine"]), event["kind"]
            if kind == "claimed":
                claimed[name] += 1
            elif kind == "progress":
                heard[name].add(str(event["message"]))
            elif kind in ("installed", "facts", "healthy"):
                heard[name].add({"healthy": "health"}.get(kind, kind))
        return cls(claimed, heard)


def claims_twice(machines: Sequence[Machine], recorded: Recorded) -> int:
    """Machines whose order went out to two boots, by either account."""
    return sum(
        len(machine.history.granted) > 1 or recorded.claimed.get(machine.name, 0) > 1
        for machine in machines
    )


def reports_lost(machines: Sequence[Machine], recorded: Recorded) -> int:
    """Reports that nobody took, and those that were acknowledged and are not in the history."""
    lost = 0
    for machine in machines:
        known = recorded.heard.get(machine.name, set())
        lost += len(machine.history.unheard)
        lost += sum(heard.what not in known for heard in machine.history.heard)
    return lost


def _at(rows: Sequence[float], share: float) -> float:
    """Nearest rank."""
    return round(rows[max(0, math.ceil(share * len(rows)) - 1)], 3)
