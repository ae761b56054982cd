"""Storms against the whole appliance, in racks of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ironwake_cli.__main__ import build
from ironwake_cli.session import Session
from ironwake_lab import network
from ironwake_lab.storm.machine import Habits, Mark
from ironwake_lab.storm.roms import Kind
from ironwake_lab.storm.run import StormSpec, raise_and_storm
from ironwake_lab.storm.stage import Sizes
from ironwake_lab.storm.tally import Result
from ironwake_lab.storm.weather import Climate

pytestmark = pytest.mark.root

SMALL = Sizes(100_000, 60_000, 74_213, 300_000, 400_000, 2_000_000)
BAD = Climate(loss=0.01, duplicate=0.01, reorder=0.01)


def _sound(result: Result) -> None:
    assert result.unfinished == {}
    assert result.finished == result.clients
    assert result.exits == {}
    assert result.claims_twice == 0
    assert result.reports_lost == 0


def test_a_small_storm_in_bad_weather() -> None:
    """Twenty machines of every firmware, with frames lost, doubled and overtaken: all get through,
    no order is given twice, no report is lost, no service ends, and nothing is left of it."""
    habits = Habits(pace=0.1, most=100_000, reports=4, spacing=0.3, rivals=0.3)
    before = set(network.NETNS.glob("iw-storm-*"))
    spec = StormSpec(20, 0.5, tuple(Kind), BAD, seed=7, habits=habits, sizes=SMALL, limit=600)
    result = raise_and_storm(spec)
    _sound(result)
    assert {hop: times.count for hop, times in result.times.items()} == dict.fromkeys(Mark, 20)
    assert result.claims_refused >= 20  # the second askers, one of each machine at least
    assert result.weather["lost"] > 0
    assert set(result.services) == {"controller", "dhcp", "tftp", "dns", "http"}
    for name, use in result.services.items():
        assert use.descriptors_after <= use.descriptors_before + 16, (name, use)
        assert use.rss_after <= 1.25 * use.rss_before, (name, use)
    assert set(network.NETNS.glob("iw-storm-*")) <= before


def test_only_some_of_the_enrolled_install() -> None:
    """A sustained storm: as many as wanted are switched on, and report at the rate that was asked
    for; the command prints what came of it as JSON."""
    words = ["lab", "storm", "--clients", "6", "--installing", "3", "--for", "4s", "--callbacks"]
    words += ["6/s", "--firmware", "ipxe", "--pace", "0.1", "--bytes", "100k", "--json"]
    done = CliRunner().invoke(build(), words, obj=Session({}), catch_exceptions=False)
    told = json.loads(done.stdout)
    assert done.exit_code == 0
    assert told["sound"] is True
    assert told["clients"] == told["finished"] == 3
    # Eight reports of progress each, the facts, the end, and the health report.
    assert told["reports_heard"] == 3 * (8 + 3)


def test_a_second_storm_counts_for_itself() -> None:
    """The same machines storm one appliance twice: each has an order in both, none has two."""
    habits = Habits(pace=0.1, most=100_000, reports=2, spacing=0.1)
    spec = StormSpec(3, 0.1, (Kind.IPXE,), habits=habits, sizes=SMALL, limit=600)
    result = raise_and_storm(spec, first=spec)
    _sound(result)
    assert result.reports_heard == 3 * (2 + 3)


@pytest.mark.deep
def test_services_die_and_installs_go_on(tmp_path: Path) -> None:
    """Fifty machines install while one service after the other is killed every two seconds: each
    gets through, with one order, and no report that was acknowledged is lost."""
    habits = Habits(pace=0.3, most=200_000, reports=20, spacing=1.0)
    spec = StormSpec(
        50, 5.0, tuple(Kind), seed=3, kill_every=2.0, habits=habits, sizes=SMALL, limit=1800
    )
    result = raise_and_storm(spec, log=tmp_path / "serve.log")
    _sound(result)
    assert all(result.kills[name] for name in ("controller", "dhcp", "tftp", "dns", "http"))
