"""What happens by the clock, with clocks that the test moves."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ironwake.deadlines import DEADLINES
from ironwake.lifecycle import State
from ironwake.report import Callback, Seen, Stage
from ironwake_controller import judge
from tests.controller.appliance import Appliance, FakeClock, Opened

YEAR = timedelta(days=365)


@pytest.mark.parametrize("state", list(DEADLINES))
def test_each_stage_has_its_deadline(state: State) -> None:
    """A moment before it nothing is said; from then on the stage, a cause and a next step."""
    seconds = DEADLINES[state].seconds
    assert judge.stuck(state, seconds - 0.1) is None
    verdict = judge.stuck(state, seconds)
    assert verdict is not None
    assert verdict.stage is state
    assert verdict.cause
    assert verdict.next_step
    assert judge.stuck(state, seconds, scale=2.0) is None


def _stuck(appliance: Appliance) -> dict[str, str] | None:
    appliance.house.housekeeping.keep_time()
    found: dict[str, str] | None = appliance.good("GET", "/v1/deployments")["items"][0]["stuck"]
    return found


def test_a_machine_that_never_woke_is_stuck(appliance: Appliance) -> None:
    """After its deadline the deployment says so, once, and the next evidence ends that."""
    appliance.enrol()
    appliance.deploy()
    assert _stuck(appliance) is None
    appliance.clock.pass_time(601)
    for _ in range(2):
        found = _stuck(appliance)
        assert found is not None
        assert found["stage"] == "armed"
        assert found["cause"].startswith("never woke")
    assert appliance.kinds().count("stuck") == 1
    appliance.see(Seen.OFFERED, file="sb/shimx64.efi")
    assert _stuck(appliance) is None
    assert appliance.state() == "offered"


def test_firmware_that_goes_round_in_circles_is_stuck(appliance: Appliance) -> None:
    """Asking for the same again and again is no sign of life."""
    appliance.enrol()
    appliance.deploy()
    for _ in range(10):
        appliance.see(Seen.OFFERED, file="sb/shimx64.efi")
        _stuck(appliance)
        appliance.clock.pass_time(30)
    found = _stuck(appliance)
    assert found is not None
    assert found["stage"] == "offered"


def test_progress_is_a_sign_of_life(appliance: Appliance) -> None:
    """An installation that reports, however slowly, is not stuck; one that is silent is."""
    appliance.enrol()
    appliance.deploy()
    token, _ = appliance.tokens()
    appliance.claim(token)
    for number in range(5):
        appliance.report(token, Callback(Stage.INSTALLING, str(number), "unpack", 5.0))
        assert _stuck(appliance) is None
        appliance.clock.pass_time(1000)
    appliance.clock.pass_time(201)
    assert _stuck(appliance) is not None
    # Its clock and its kernel write into its log, too.
    appliance.report(token, Callback(Stage.LOG, "log", message="still here"))
    assert _stuck(appliance) is not None
    appliance.report(token, Callback(Stage.INSTALLING, "again", "unpack", 6.0))
    assert _stuck(appliance) is None


def test_what_an_installer_asked_is_named_when_it_is_stuck(appliance: Appliance) -> None:
    """A question at its console is why nothing comes any more."""
    appliance.enrol()
    appliance.deploy()
    token, _ = appliance.tokens()
    appliance.claim(token)
    asked = "the installer asks mirror/http/hostname, and waits"
    appliance.report(token, Callback(Stage.LOG, "log", "question", message=asked))
    appliance.clock.pass_time(301)
    found = _stuck(appliance)
    assert found is not None
    assert found["cause"].endswith(asked)
    assert [e.message for e in appliance.history() if e.kind == "question"] == [asked]


def test_arms_run_out(appliance: Appliance) -> None:
    """An arm that nobody claimed expires by itself, and the machine boots its disk."""
    appliance.enrol()
    appliance.deploy(minutes=5)
    appliance.clock.pass_time(299)
    appliance.house.housekeeping.keep_time()
    assert appliance.state() == "armed"
    appliance.clock.pass_time(2)
    appliance.house.housekeeping.keep_time()
    assert appliance.state() == "expired"


def test_deploying_again_right_after_an_arm_ran_out_arms(appliance: Appliance) -> None:
    """Between two looks at the clock, too: nobody is given an arm that is over already."""
    appliance.enrol()
    first = appliance.deploy(minutes=5)
    appliance.clock.pass_time(301)
    second = appliance.deploy(minutes=5)
    assert second["id"] != first["id"]
    assert second["state"] == "armed"


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_a_jump_of_the_wall_clock_changes_nothing(appliance: Appliance, jump: timedelta) -> None:
    """A year forward expires no arm and makes nothing stuck; a year back prolongs none."""
    appliance.enrol()
    appliance.deploy(minutes=5)
    appliance.clock.day += jump
    appliance.house.housekeeping.keep_time()
    assert appliance.state() == "armed"
    assert _stuck(appliance) is None
    appliance.clock.pass_time(301)
    appliance.house.housekeeping.keep_time()
    assert appliance.state() == "expired"


@pytest.mark.parametrize("jump", [timedelta(0), YEAR, -YEAR])
def test_a_restart_prolongs_no_arm(opened: Opened, tmp_path: Path, jump: timedelta) -> None:
    """While the host runs on, its monotonic clock measures across our restarts."""
    clock = FakeClock()
    first = opened(tmp_path, clock)
    first.enrol()
    first.deploy(minutes=5)
    clock.pass_time(200)
    first.close()
    clock.day += jump
    second = opened(tmp_path, clock)
    second.house.housekeeping.keep_time()
    assert second.state() == "armed"
    clock.pass_time(101)
    second.house.housekeeping.keep_time()
    assert second.state() == "expired"


@pytest.mark.parametrize(
    ("jump", "left"),
    [(timedelta(0), 100.0), (YEAR, 0.0), (-YEAR, 300.0)],
)
def test_a_reboot_of_the_host_prolongs_no_arm(
    opened: Opened, tmp_path: Path, jump: timedelta, left: float
) -> None:
    """Then only the time of day is left to go by: no arm gets more than it was given."""
    clock = FakeClock()
    first = opened(tmp_path, clock)
    first.enrol()
    first.deploy(minutes=5)
    clock.pass_time(200)
    first.close()
    clock.boot, clock.steady = "boot-2", 7.0
    clock.day += jump
    second = opened(tmp_path, clock)
    if left:
        clock.pass_time(left - 1)
        second.house.housekeeping.keep_time()
        assert second.state() == "armed"
        clock.pass_time(2)
    second.house.housekeeping.keep_time()
    assert second.state() == "expired"
