"""Orders without a profile: what is asked of the controller, and how their end is told."""

from __future__ import annotations

from typing import Any

import pytest

from ironwake_cli.timeline import Timeline, read
from ironwake_testing.stand_in import Answer

from .conftest import Cli
from .test_commands import DEPLOYMENT
from .test_timeline import event

DEPLOY = "/v1/machines/node1/deploy"


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (
            ("--wipe-only", "--erase", "WD-1", "--finish", "shell"),
            {"method": "wipe", "erase": ["WD-1"], "finish": "shell"},
        ),
        (("--rescue",), {"method": "rescue", "erase": []}),
        (
            ("--profile", "web", "--finish", "kexec"),
            {"profile": "web", "erase": [], "finish": "kexec"},
        ),
    ],
)
def test_one_thing_is_asked_for(cli: Cli, words: tuple[str, ...], body: dict[str, Any]) -> None:
    """A profile, or a method that needs none; the controller's own word for it is told."""
    cli.controller.on("POST", DEPLOY, Answer(201, {**DEPLOYMENT, "profile": "what-it-is"}))
    done = cli("deploy", "node1", *words)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("node1 is armed for what-it-is: deployment d1\n")
    assert cli.controller.asked[-1].body == {"wake": True, **body}


@pytest.mark.parametrize("words", [(), ("--wipe-only", "--rescue"), ("--rescue", "--profile", "x")])
def test_none_or_two_things_are_refused(cli: Cli, words: tuple[str, ...]) -> None:
    """Before anything is asked of the controller."""
    done = cli("deploy", "node1", *words)
    assert done.code == 2
    assert "give --profile, --wipe-only or --rescue" in done.err
    assert cli.controller.asked == []


def test_a_rescue_is_ended(cli: Cli) -> None:
    """By the machine's name, as everything of a deployment."""
    cli.controller.on("GET", "/v1/deployments", Answer(200, {"items": [DEPLOYMENT], "next": None}))
    cli.controller.on("POST", "/v1/deployments/d1/end", Answer(200, DEPLOYMENT))
    assert cli("deployment", "end", "node1").out == "deployment d1 of node1 has ended\n"


def test_an_order_without_a_system_ends_by_its_own_words() -> None:
    """Nothing is healthy there; the bar fills by what the machine says of its work."""
    timeline = Timeline("node1")
    timeline.take(read(event(0, "claimed", "answers")))
    timeline.take(read(event(1, "progress", "working", "zeroes", percent=50.0)))
    half = timeline.percent
    assert 50 < half < 80
    timeline.take(read(event(9, "succeeded", "succeeded", "/dev/vda: overwritten", percent=100.0)))
    assert timeline.over
    assert timeline.conclusion() == "node1: /dev/vda: overwritten"
