"""What the storms' rounds become: of what must never happen, the worst one counts."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from ironwake_bench import rounds, storm
from ironwake_bench.options import Options
from ironwake_lab.storm.machine import Mark
from ironwake_lab.storm.run import StormSpec
from ironwake_lab.storm.tally import Result, ServiceUse, Times

_USE = ServiceUse(100, 100, 100, 20, 20, 1.0)
_TIMES = Times(500, 1.0, 1.0, 1.0)
_GOOD = Result(
    clients=500,
    finished=500,
    seconds=60.0,
    times={str(mark): _TIMES for mark in Mark},
    claims_twice=0,
    claims_refused=0,
    reports_heard=500,
    reports_lost=0,
    reports_per_second=205.0,
    report_seconds=_TIMES,
    boots_failed={},
    unfinished={},
    octets=1,
    exits={"http": 0},
    kills={},
    services={"http": _USE},
    weather={},
    wire={},
    generator_cpu=1.0,
)


@pytest.mark.parametrize(
    ("cell", "wrong"),
    [
        ("services that ended", {"exits": {"http": 1}}),
        ("orders given twice", {"claims_twice": 1}),
        ("reports lost", {"reports_lost": 1}),
        ("through", {"finished": 499}),
        ("memory after, of before", {"services": {"http": ServiceUse(100, 200, 200, 20, 20, 1.0)}}),
        ("descriptors more than before", {"services": {"http": ServiceUse(1, 1, 1, 20, 99, 1.0)}}),
    ],
)
def test_one_bad_round_is_enough(cell: str, wrong: dict[str, object]) -> None:
    """Four good rounds hide nothing."""
    results = [_GOOD] * 4 + [dataclasses.replace(_GOOD, **wrong)]  # type: ignore[arg-type]
    left = iter(results)
    (found,) = storm.cells(Options(5, f"500 in 1 s: {cell}"), lambda _: next(left))
    assert found.margin < 1


def test_rounds_of_each_storm() -> None:
    """Five of the short one, one of the long one, and as many as somebody says."""

    def raised(said: int) -> list[int]:
        seen: Counter[int] = Counter()

        def one(spec: StormSpec) -> Result:
            seen[spec.clients] += 1
            return _GOOD

        assert list(storm.cells(Options(said, "*"), one))
        return list(seen.values())

    assert raised(0) == [rounds.LEAST, 1]
    assert raised(2) == [2, 2]
