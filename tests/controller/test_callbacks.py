"""Machines' reports: once each, in turn, and never backwards."""

from __future__ import annotations

import pytest

from ironwake.report import Callback, Stage
from tests.controller.appliance import Appliance


@pytest.fixture
def tokens(appliance: Appliance) -> tuple[str, str]:
    """Of a deployment whose answers were handed out."""
    appliance.enrol()
    appliance.deploy()
    both = appliance.tokens()
    appliance.claim(both[0])
    return both


def test_a_repeated_report_counts_once(appliance: Appliance, tokens: tuple[str, str]) -> None:
    """A report whose reply was lost comes again under its id: 204, and no second event."""
    for _ in range(3):
        said = Callback(Stage.INSTALLING, "same", "unpack", 5.0)
        assert appliance.report(tokens[0], said).status_code == 204
    assert appliance.kinds().count("progress") == 1


def test_a_repeat_is_fine_even_at_the_end(appliance: Appliance, tokens: tuple[str, str]) -> None:
    """The last report's repeat is acknowledged; anything new hears that it is over."""
    failed = Callback(Stage.FAILED, "f", message="no disk")
    assert appliance.report(tokens[0], failed).status_code == 204
    assert appliance.report(tokens[0], failed).status_code == 204
    assert appliance.report(tokens[0], Callback(Stage.INSTALLED, "i")).status_code == 410


def test_out_of_turn_reports_are_refused(appliance: Appliance, tokens: tuple[str, str]) -> None:
    """Installed before installing moves nothing, and does not use up its id."""
    said = Callback(Stage.INSTALLED, "i")
    assert appliance.report(tokens[0], said).status_code == 409
    assert appliance.healthy(tokens[1]).status_code == 409
    assert appliance.state() == "answers"
    assert appliance.report(tokens[0], Callback(Stage.INSTALLING, "1")).status_code == 204
    assert appliance.report(tokens[0], said).status_code == 204
    assert appliance.state() == "installed"


def test_tokens_open_only_their_own_route(appliance: Appliance, tokens: tuple[str, str]) -> None:
    """The health token is no deployment token, the other way neither, and strangers are unknown."""
    assert appliance.report(tokens[1], Callback(Stage.INSTALLING)).status_code == 404
    assert appliance.healthy(tokens[0]).status_code == 404
    assert appliance.report("f" * 64, Callback(Stage.INSTALLING)).status_code == 404
    assert appliance.state() == "answers"


def test_health_may_be_repeated(appliance: Appliance, tokens: tuple[str, str]) -> None:
    """The unit on the installed system repeats until it is heard, so success answers it again."""
    appliance.report(tokens[0], Callback(Stage.INSTALLING, "1"))
    appliance.report(tokens[0], Callback(Stage.INSTALLED, "2"))
    for _ in range(2):
        assert appliance.healthy(tokens[1]).status_code == 204
    assert appliance.state() == "succeeded"
    last = appliance.history()[-1]
    assert last.kind == "succeeded"
    assert last.detail == {
        "hostname": "node1",
        "system": "Debian GNU/Linux 12",
        "kernel": "6.1.0-50-amd64",
    }


def test_logs_and_facts_move_nothing(appliance: Appliance, tokens: tuple[str, str]) -> None:
    """They are kept for people; the deployment stays where it is."""
    appliance.report(tokens[0], Callback(Stage.LOG, "1", message="line 1\nline 2"))
    appliance.report(tokens[0], Callback(Stage.FACTS, "2", facts={"cpu": "fast"}))
    assert appliance.state() == "answers"
    assert appliance.good("GET", "/v1/machines/node1")["facts"] == {"cpu": "fast"}
    assert [e.message for e in appliance.history() if e.kind == "log"] == ["line 1\nline 2"]


@pytest.mark.parametrize("percent", [-1.0, 100.5, 1e300])
def test_percent_is_one(appliance: Appliance, tokens: tuple[str, str], percent: float) -> None:
    """What is no percentage is refused, not shown."""
    said = Callback(Stage.INSTALLING, "1", percent=percent)
    assert appliance.report(tokens[0], said).status_code == 422


def test_progress_without_news_is_no_event(appliance: Appliance, tokens: tuple[str, str]) -> None:
    """The same step at the same percent, told again under another id, is only a sign of life."""
    for name in ("1", "2", "3"):
        said = Callback(Stage.INSTALLING, name, "unpack", 5.0)
        assert appliance.report(tokens[0], said).status_code == 204
    assert appliance.kinds().count("progress") == 1
    shown = appliance.good("GET", "/v1/deployments")["items"][0]
    assert (shown["step"], shown["percent"]) == ("unpack", 5.0)


def test_ids_that_begin_alike_are_not_taken_for_repeats(
    appliance: Appliance, tokens: tuple[str, str]
) -> None:
    """What was acknowledged was kept: an id too long to be told apart is refused instead."""
    assert appliance.report(tokens[0], Callback(Stage.INSTALLING, "i" * 100)).status_code == 204
    refused = appliance.report(tokens[0], Callback(Stage.INSTALLED, "i" * 101))
    assert (refused.status_code, refused.json()["where"]) == (422, "id")
    assert appliance.state() == "installing"


def test_a_long_report_is_cut(appliance: Appliance, tokens: tuple[str, str]) -> None:
    """A machine cannot fill the database faster than it can say something."""
    said = Callback(Stage.INSTALLING, "1", "s" * 60_000, message="m" * 60_000)
    assert appliance.report(tokens[0], said).status_code == 204
    shown = appliance.good("GET", "/v1/machines/node1")["deployment"]
    assert (len(shown["step"]), len(shown["message"])) == (500, 16_000)
