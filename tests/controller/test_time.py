"""What happens by the clock, with clocks that the test moves."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ironwake.deadlines import DEADLINES
from ironwake.errors import BrokenError
from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.report import Callback, Seen, Stage
from ironwake.site import Site
from ironwake_controller import judge, waking
from ironwake_controller.waking import PAUSES, Waker
from tests.controller.appliance import MAC, Appliance, FakeClock, Opened

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
    appliance.report(token, Callback(Stage.LOG, "log", message="still here"))
    assert _stuck(appliance) is None


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


def test_packets_go_out_with_growing_pauses_until_it_is_seen(appliance: Appliance) -> None:
    """Armed machines are woken at once and again, until their DHCP request is seen."""
    appliance.enrol()
    appliance.deploy()
    keep = appliance.house.housekeeping
    sent: list[int] = []
    for second in range(60):
        keep.wake()
        if len(appliance.power.woken) > len(sent):
            sent.append(second)
            assert appliance.power.woken[-1] == MAC
        appliance.clock.pass_time(1)
    assert sent == [0, 2, 6, 14, 29, 59]
    appliance.see(Seen.DHCP)
    appliance.clock.pass_time(60)
    keep.wake()
    assert len(appliance.power.woken) == len(sent)
    assert appliance.kinds().count("wake") == 1


def test_waking_ends_with_the_deployment_and_with_the_deadline(appliance: Appliance) -> None:
    """Nobody is woken for something that was cancelled, nor for ever."""
    appliance.enrol()
    made = appliance.deploy()
    keep, power = appliance.house.housekeeping, appliance.power
    keep.wake()
    appliance.good("POST", f"/v1/deployments/{made['id']}/cancel")
    appliance.clock.pass_time(30)
    keep.wake()
    assert len(power.woken) == 1
    appliance.good("POST", "/v1/machines/node1/wake")
    for _ in range(700):
        keep.wake()
        appliance.clock.pass_time(1)
    count = len(power.woken)
    appliance.clock.pass_time(1000)
    keep.wake()
    assert len(power.woken) == count
    assert 20 < count < 30


def test_nobody_is_woken_without_a_wish(appliance: Appliance) -> None:
    """Neither enrolling nor a deployment without waking sends a packet."""
    appliance.enrol()
    appliance.deploy(wake=False)
    appliance.house.housekeeping.wake()
    assert appliance.power.woken == []


def test_a_restart_goes_on_waking(opened: Opened, tmp_path: Path) -> None:
    """A machine that is still awaited after our restart gets its packets again."""
    first = opened(tmp_path)
    first.enrol()
    first.deploy()
    first.close()
    second = opened(tmp_path)
    second.house.housekeeping.wake()
    assert second.power.woken == [MAC]


def test_failing_to_send_is_told_once(appliance: Appliance) -> None:
    """A missing interface is a line of history with its reason, not one per attempt."""
    appliance.power.broken = "the network is down"
    appliance.enrol()
    appliance.deploy()
    for _ in range(60):
        appliance.house.housekeeping.wake()
        appliance.clock.pass_time(1)
    lines = [event for event in appliance.history() if event.kind == "wake"]
    assert [line.message for line in lines] == ["the network is down"]


def test_many_sleepers_are_woken_in_portions() -> None:
    """Power supplies have limits: no more than twenty packets leave in one round."""
    waker = Waker()
    for number in range(50):
        waker.begin(number, Mac(f"52:54:00:77:01:{number:02x}"), 0.0, 100.0)
    rounds = [len(waker.due(0.0)) for _ in range(4)]
    assert rounds == [20, 20, 10, 0]
    assert len(waker.due(PAUSES[0])) == 20


def test_packets_go_to_the_subnets_own_broadcast() -> None:
    """Never to all networks: only where the machines are."""
    assert waking.broadcast(Site("10.77.0.2", 24)) == "10.77.0.255"
    assert waking.broadcast(Site("172.16.5.9", 20)) == "172.16.15.255"


def test_an_address_that_is_not_ours_is_told() -> None:
    """A packet that can't leave says from where, and which setting to look at."""
    send = waking.sender(lambda: Site("192.0.2.1", 24))
    with pytest.raises(BrokenError, match=r"192\.0\.2\.1") as caught:
        send(Mac(MAC))
    assert "IRONWAKE_INTERFACE" in caught.value.next_step
