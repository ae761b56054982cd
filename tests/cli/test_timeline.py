"""A deployment's events as lines, and the one line at the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import RefusedError
from ironwake.lifecycle import State
from ironwake_cli.timeline import Timeline, read

_START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def event(seconds: float, kind: str, state: str = "", message: str = "", **detail: Any) -> Any:
    """An event as the controller tells it."""
    moment = _START + timedelta(seconds=seconds)
    return {
        "seq": int(seconds * 10) + 1,
        "at": moment.isoformat(),
        "kind": kind,
        "state": state,
        "message": message,
        "detail": detail,
    }


WHOLE = [
    event(0, "armed", "armed", "armed for debian until 13:00"),
    event(0.5, "wake", "armed", "a magic packet went to 52:54:00:77:00:10", mac="…", reason=""),
    event(9, "offered", "offered", "was offered sb/shimx64.efi"),
    event(10, "loader", "loader", "asked for sb/shimx64.efi"),
    event(14, "kernel", "kernel", "asked for vmlinuz"),
    event(25, "claimed", "answers", "took its order"),
    event(26, "progress", "installing", "partitioning", step="disk", percent=5),
    event(40, "progress", "installing", "unpacking", step="unpack", percent=50),
    event(55, "installed", "installed", "installed", percent=100),
    event(60, "rebooted", "first_boot", "was seen again"),
    event(74.6, "healthy", "healthy", "Debian GNU/Linux 12 (bookworm) reported from the disk"),
    event(74.6, "succeeded", "succeeded", "node1 is healthy"),
]

GOLDEN = """\
12:00:00     0.0 s  armed       armed for debian until 13:00
12:00:00     0.5 s  wake        a magic packet went to 52:54:00:77:00:10
12:00:09     9.0 s  offered     was offered sb/shimx64.efi
12:00:10    10.0 s  loader      asked for sb/shimx64.efi
12:00:14    14.0 s  kernel      asked for vmlinuz
12:00:25    25.0 s  claimed     took its order
12:00:26    26.0 s  progress    5 % partitioning
12:00:40    40.0 s  progress    50 % unpacking
12:00:55    55.0 s  installed   100 % installed
12:01:00    60.0 s  rebooted    was seen again
12:01:14    74.6 s  healthy     Debian GNU/Linux 12 (bookworm) reported from the disk
12:01:14    74.6 s  succeeded   node1 is healthy
"""


def told(events: list[Any], machine: str = "node1") -> tuple[Timeline, str]:
    timeline = Timeline(machine, "Debian 12")
    return timeline, "".join(f"{timeline.take(read(one))}\n" for one in events)


def test_every_hop_has_a_line_with_its_time() -> None:
    """From arming to health, each hop is told once, with the clock and the seconds since."""
    timeline, text = told(WHOLE)
    assert text == GOLDEN
    assert timeline.over
    assert timeline.percent == 100


def test_the_last_line() -> None:
    """The end says which system, and how long it took from the magic packet to the report."""
    timeline, _ = told(WHOLE)
    assert timeline.conclusion() == (
        "node1 is healthy: Debian 12, 74 s from power-on to first-boot report"
    )


def test_a_bmc_that_switched_it_on_is_its_power_on() -> None:
    """One that found it running is not, nor one that failed."""
    for detail, begins in (
        ({"found": "off"}, "from power-on"),
        ({"found": "on"}, "from its first request"),
        ({"found": "off", "reason": "no answer"}, "from its first request"),
    ):
        told = event(0.5, "power", "armed", "told to switch on", driver="redfish", **detail)
        timeline = Timeline("node1", "Debian 12")
        for one in [told if line["kind"] == "wake" else line for line in WHOLE]:
            timeline.take(read(one))
        assert begins in timeline.conclusion()


def test_a_machine_switched_on_by_hand() -> None:
    """Without a magic packet (or with one that could not be sent) time begins at its request."""
    unsent = event(0.5, "wake", "armed", "no route", reason="no route")
    timeline, _ = told([WHOLE[0], unsent, *WHOLE[2:]])
    assert timeline.conclusion() == (
        "node1 is healthy: Debian 12, 66 s from its first request to first-boot report"
    )


@pytest.mark.parametrize(
    ("last", "sentence"),
    [
        (
            event(30, "failed", "failed", "the disk vda is not blank"),
            "node1: the deployment has failed: the disk vda is not blank; "
            "try again with: ironwake deploy node1 --profile PROFILE",
        ),
        (
            event(30, "cancelled", "cancelled", "cancelled by a person"),
            "node1: the deployment was cancelled: cancelled by a person; "
            "try again with: ironwake deploy node1 --profile PROFILE",
        ),
        (
            event(30, "stuck", "answers", "x", cause="no report came", next_step="read its screen"),
            "node1: the deployment is still answers: no report came; read its screen",
        ),
    ],
)
def test_what_did_not_succeed_says_why_and_what_next(last: Any, sentence: str) -> None:
    """A failure is told in one sentence with its cause and the next step."""
    timeline, _ = told([*WHOLE[:6], last])
    with pytest.raises(RefusedError) as caught:
        timeline.conclusion()
    assert str(caught.value) == sentence


def test_news_end_a_judgement() -> None:
    """A machine that was stuck and goes on is not said to be stuck at the end."""
    stuck = event(11, "stuck", "loader", "x", cause="no kernel", next_step="look")
    timeline, _ = told([*WHOLE[:4], stuck, *WHOLE[4:6]])
    assert timeline.cause == ""


def test_a_log_is_indented_below_its_line() -> None:
    """Many lines of a machine's log stay together, and cannot be taken for hops."""
    _, text = told([event(0, "log", "installing", "mkfs: error\n12:00:00 fake")])
    assert text == "12:00:00     0.0 s  log         mkfs: error\n    12:00:00 fake\n"


def test_a_machine_cannot_write_to_the_terminal() -> None:
    """Control characters in what a machine reports do not reach the screen."""
    _, text = told([event(0, "log", "installing", "red \x1b[31malert\x07\rgone\x9b2J")])
    assert text == "12:00:00     0.0 s  log         red ?[31malert??gone?2J\n"


@given(st.lists(st.sampled_from(WHOLE), max_size=30))
def test_progress_never_goes_back(events: list[Any]) -> None:
    """Whatever order events come in, the bar only grows, and stays within 0 and 100."""
    timeline = Timeline("node1")
    last = 0.0
    for one in events:
        timeline.take(read(one))
        assert last <= timeline.percent <= 100
        last = timeline.percent


def test_every_state_has_its_place_on_the_bar() -> None:
    """The bar knows how far each state of a good run has come."""
    timeline = Timeline("node1")
    ends = {State.FAILED, State.CANCELLED, State.EXPIRED}
    reached = []
    for number, state in enumerate(state for state in State if state not in ends):
        timeline.take(read(event(number, "x", state)))
        reached.append(timeline.percent)
    assert reached == sorted(set(reached))


def test_progress_within_a_step_is_told_by_tenths() -> None:
    """A machine reports each second; a person reads the steps, and each tenth part of one."""
    timeline = Timeline("node1")
    told = [
        timeline.take(read(event(second, "progress", "installing", text, percent=percent)))
        for second, (text, percent) in enumerate(
            [("unpacking", 10), ("unpacking", 12), ("unpacking", 20), ("configuring", 21)]
        )
    ]
    assert [bool(line) for line in told] == [True, False, True, True]
