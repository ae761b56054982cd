"""What a benchmark says: margins, and the worst of them last."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ironwake_bench.cells import Cell, Goal, report
from ironwake_bench.rounds import OURS, complain


@pytest.mark.parametrize(
    ("goal", "ours", "peer", "margin"),
    [
        (Goal(1.5), 300.0, 100.0, 2.0),
        (Goal(1.5), 75.0, 100.0, 0.5),
        (Goal(1.0, more=False), 5.0, 10.0, 2.0),
        (Goal(2.0, more=False), 4.0, None, 0.5),
        (Goal(3000.0), 3000.0, None, 1.0),
        (Goal(1.0), 10.0, 0.0, 1000.0),
        (Goal(1.0), 0.0, 0.0, 1.0),
    ],
)
def test_margins(goal: Goal, ours: float, peer: float | None, margin: float) -> None:
    """1.0 is exactly met, 2.0 twice as good, 0.5 half way, whichever way is better."""
    assert goal.margin(ours, peer) == pytest.approx(margin)


def test_the_worst_cell_is_said_last(capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line; the last one repeats the smallest margin as `worst`."""
    cells = [
        Cell("dns", "udp", 90.0, "q/s", Goal(0.8), 100.0, "dnsmasq"),
        Cell("dns", "cpu", 3.0, "us", Goal(1.0, more=False), 2.0, "dnsmasq"),
    ]
    assert report(cells) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["cell"] for line in lines] == ["udp", "cpu", "worst"]
    assert lines[-1] == {**lines[1], "cell": "worst", "of": "cpu"}
    assert lines[0]["goal"] == ">= 0.8x peer"


def test_no_figure_is_a_failure() -> None:
    """A benchmark that measured nothing must not look like one that did."""
    assert report([]) == 1


def test_the_worst_is_said_of_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """A fault of ours ends the benchmark, with the worst cell until then."""

    def cells() -> Iterator[Cell]:
        yield Cell("dns", "udp", 90.0, "q/s", Goal(0.8), 100.0, "dnsmasq")
        complain("dns", OURS, {"lost": 3})

    with pytest.raises(SystemExit, match="bench-dns: ours: not all was served"):
        report(cells())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["cell"] for line in lines] == ["udp", "worst"]


def test_a_peer_with_faults_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """They are said beside the cells."""
    complain("dns", "dnsmasq", {"lost": 3})
    said = capsys.readouterr()
    assert not said.out
    assert "dnsmasq: not all was served" in said.err
