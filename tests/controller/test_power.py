"""What switches a machine: its settings, its secrets, asking it, and starting by it."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from ironwake import wire
from ironwake.errors import BrokenError, InputError, IronwakeError
from ironwake.report import Seen
from ironwake_controller.power import drivers
from ironwake_controller.power.driver import Driver, Operation, Outcome, PowerState, Target
from ironwake_controller.power.job import Job, Workers
from ironwake_controller.power.safe import Safe, hide
from ironwake_controller.power.start import start
from ironwake_testing import bmc
from ironwake_testing.switched import Plug
from tests.controller.appliance import Appliance, Opened

CANARY = "canary-0a1b2c&d e"
BMC = {"driver": "redfish", "settings": {"address": "10.0.0.7", "user": "me", "password": CANARY}}
POWER = "/v1/machines/node1/power"


def _done(_job: Job) -> Outcome:
    return Outcome("done", PowerState.OFF)


@dataclass
class Hands:
    """Stands for the child processes. `answer` gives what comes of a job, or raises."""

    answer: Callable[[Job], Outcome] = _done
    jobs: list[Job] = field(default_factory=list)

    def carry_out(self, job: Job) -> Outcome:
        self.jobs.append(job)
        return self.answer(job)

    def close(self) -> None:
        """Nothing runs on."""


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def equipped(opened: Opened, tmp_path: Path, hands: Hands) -> Appliance:
    """A controller with one machine, which has a BMC."""
    made = opened(tmp_path, hands=hands)
    made.enrol()
    made.good("PUT", POWER, BMC)
    return made


def _lines(appliance: Appliance) -> list[str]:
    return [event.message for event in appliance.history() if event.kind == "power"]


def _settle(appliance: Appliance) -> None:
    """Until what was begun for deployments is written down."""
    appliance.house.switchboard.close()


# Settings


def test_secrets_are_shown_as_set_and_kept_sealed(equipped: Appliance, tmp_path: Path) -> None:
    """Neither the API nor the database file says a password; the key is this user's alone."""
    shown = equipped.good("GET", POWER)
    assert shown["settings"] == {"address": "https://10.0.0.7", "user": "me", "password": "set"}
    assert shown["can"] == [str(operation) for operation in Operation]
    assert (tmp_path / "secrets" / "power.key").stat().st_mode & 0o777 == 0o600
    with equipped.house.store.read() as connection:
        (row,) = connection.execute(text("select power from machines")).scalars()
    assert "10.0.0.7" in row
    assert CANARY not in row


def test_the_view_has_nothing_of_it(equipped: Appliance) -> None:
    """The data plane has no business with BMCs."""
    raw = wire.encode(equipped.view()).decode()
    assert "redfish" not in raw
    assert "10.0.0.7" not in raw


def test_other_settings_bring_no_old_secret_along(equipped: Appliance) -> None:
    """Who changes the address only would else have the old password sent there."""
    equipped.good("PUT", POWER, {"driver": "redfish", "settings": {"address": "10.6.6.6"}})
    assert "password" not in equipped.good("GET", POWER)["settings"]
    equipped.good("POST", f"{POWER}/on")
    hands = equipped.house.hands
    assert isinstance(hands, Hands)
    assert CANARY not in str(hands.jobs[-1].settings)


def test_without_a_driver_it_is_wake_on_lan(equipped: Appliance) -> None:
    """As before it had one; forgetting twice is the same."""
    assert equipped.call("DELETE", POWER).status_code == 204
    assert equipped.call("DELETE", POWER).status_code == 204
    shown = equipped.good("GET", POWER)
    assert (shown["driver"], shown["settings"], shown["can"]) == ("wol", {}, ["on"])


def test_secrets_open_for_their_machine_and_key_alone(tmp_path: Path) -> None:
    """Not with another key, nor under the name of another machine."""
    safe = Safe(tmp_path / "a.key")
    sealed = safe.seal({"password": CANARY}, "node1")
    assert Safe(tmp_path / "a.key").open(sealed, "node1") == {"password": CANARY}
    for other, name in ((Safe(tmp_path / "b.key"), "node1"), (safe, "node2")):
        with pytest.raises(BrokenError, match="can't be opened") as caught:
            other.open(sealed, name)
        assert "ironwake power" in caught.value.next_step


def test_a_lost_key_blocks_no_deployment(opened: Opened, tmp_path: Path, hands: Hands) -> None:
    """The machine is armed; that it can't be switched on is a line with what to do."""
    first = opened(tmp_path, hands=hands)
    first.enrol()
    first.good("PUT", POWER, BMC)
    first.close()
    (tmp_path / "secrets" / "power.key").unlink()
    second = opened(tmp_path, hands=hands)
    assert second.deploy()["state"] == "armed"
    assert "ironwake power node1 set" in _lines(second)[-1]
    assert second.call("POST", f"{POWER}/on").status_code == 503


@pytest.mark.parametrize(
    "body",
    [
        {"driver": "redfish", "settings": {"address": "10.0.0.7", "password": [CANARY]}},
        {"driver": "redfish", "settings": {"address": "10.0.0.7", "password": {"x": CANARY}}},
        {"driver": "webhook", "settings": {"on": {"url": "http://x/"}, "secrets": CANARY}},
        {"driver": "webhook", "settings": {"headers": {"a": CANARY, "b c": CANARY}}},
        {"driver": "wol", "settings": {"secureon": CANARY}},
        {"driver": "ipmi", "settings": {"address": "x", "password": CANARY * 2}},
        {"driver": "redfish", "settings": CANARY},
    ],
)
def test_a_refusal_repeats_no_secret(equipped: Appliance, body: Any) -> None:
    """What is wrong with a password is told by its field."""
    reply = equipped.call("PUT", POWER, body)
    assert reply.status_code == 422
    assert CANARY not in reply.text
    assert reply.json()["detail"]


_TEXT = st.sampled_from([CANARY, "", "10.0.0.7", "on", "http://x/${a}", "a:1", "\n", "$"])
_NAME = st.sampled_from(["a", "mac", "b c", "X-Key", ""])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAME, inner, max_size=2),
    max_leaves=6,
)
_CALL = st.fixed_dictionaries({"url": st.just("http://plug/${mac}")}, optional={"body": _TEXT})


def _read(driver: Driver, settings: dict[str, Any]) -> tuple[Any, InputError | None]:
    try:
        return drivers.read(driver, settings), None
    except InputError as error:
        return None, error


@given(driver=st.sampled_from(drivers.DRIVERS), data=st.data())
def test_any_settings_are_kept_as_they_are_or_refused_in_words(
    driver: Driver, data: st.DataObject
) -> None:
    """What is read once is read again just so; nothing that is shown or said is a secret."""
    names = [field.name for field in dataclasses.fields(driver.settings)]
    values = dict.fromkeys(names, _JSON | _TEXT | _CALL)
    given_settings = data.draw(st.fixed_dictionaries({}, optional=values))
    settings, error = _read(driver, given_settings)
    if error is not None:
        field = error.where.partition(".")[0].partition("[")[0]
        assert field not in driver.secrets or CANARY not in str(error)
        return
    assert drivers.read(driver, wire.dump(settings)) == settings
    shown = drivers.shown(driver, settings)
    assert all(shown[name] == "set" for name in driver.secrets if name in shown)


# Asked by a person


@pytest.mark.parametrize("operation", ["on", "off", "cycle", "boot-network"])
def test_operations_reach_the_driver_and_the_history(
    equipped: Appliance, hands: Hands, operation: str
) -> None:
    """One job each, with the secret in it; the line of history has none."""
    done = equipped.good("POST", f"{POWER}/{operation}")
    assert (done["driver"], done["message"], done["state"]) == ("redfish", "done", "off")
    (job,) = hands.jobs
    assert (job.operation, job.settings["password"]) == (Operation(operation), CANARY)
    assert _lines(equipped)[-1] == f"{operation}: done"


def test_status_is_no_event(equipped: Appliance, hands: Hands) -> None:
    """Who looks every minute does not fill the history."""
    before = len(equipped.history())
    assert equipped.good("GET", f"{POWER}/status")["state"] == "off"
    assert equipped.call("POST", f"{POWER}/status").status_code == 422
    assert len(equipped.history()) == before


def test_what_a_driver_cannot_is_refused_with_what_it_can(appliance: Appliance) -> None:
    """A clear error with the next step, before anything is asked."""
    appliance.enrol()
    reply = appliance.call("POST", f"{POWER}/off")
    assert reply.status_code == 409
    assert "wol, which can't do off" in reply.json()["detail"]
    assert "it can: on" in reply.json()["next_step"]


def test_a_failure_is_told_to_the_caller_and_to_the_history(
    equipped: Appliance, hands: Hands
) -> None:
    """With its cause and its next step."""

    def fail(job: Job) -> Outcome:
        raise BrokenError("the BMC at 10.0.0.7 does not answer", "see its cable")

    hands.answer = fail
    reply = equipped.call("POST", f"{POWER}/on")
    assert reply.status_code == 503
    assert reply.json()["next_step"] == "see its cable"
    assert _lines(equipped)[-1] == "on: the BMC at 10.0.0.7 does not answer; see its cable"


# For a deployment


def test_arming_starts_the_machine_by_its_driver(equipped: Appliance, hands: Hands) -> None:
    """Not by Wake-on-LAN; nothing that runs is restarted."""
    made = equipped.deploy()
    _settle(equipped)
    (job,) = hands.jobs
    assert (job.operation, job.cycle) == (None, False)
    equipped.house.wake_loop.wake()
    assert equipped.power.woken == []
    (line,) = [event for event in equipped.history() if event.kind == "power"][1:]
    assert (line.deployment, line.message) == (made["id"], "done")


def test_a_restart_must_be_asked_for(equipped: Appliance, hands: Hands) -> None:
    """`cycle` goes to the driver; one that can't is refused before anything is armed."""
    equipped.deploy(cycle=True)
    _settle(equipped)
    assert hands.jobs[-1].cycle
    equipped.good("POST", "/v1/machines", {"name": "node2", "macs": ["52:54:00:77:00:20"]})
    body = {"profile": "web", "cycle": True}
    reply = equipped.call("POST", "/v1/machines/node2/deploy", body)
    assert reply.status_code == 409
    assert "can't do cycle" in reply.json()["detail"]
    assert equipped.state("node2") == "enrolled"


def test_nothing_is_switched_without_a_wish(equipped: Appliance, hands: Hands) -> None:
    """`--no-wake` means that a person does it."""
    equipped.deploy(wake=False)
    _settle(equipped)
    assert hands.jobs == []


@pytest.mark.parametrize("error", [BrokenError("no answer", "see its cable"), ValueError("odd")])
def test_a_driver_that_fails_ends_no_deployment(
    equipped: Appliance, hands: Hands, error: Exception
) -> None:
    """A person can press the button: the machine boots as if nothing had been."""

    def fail(job: Job) -> Outcome:
        raise error

    hands.answer = fail
    equipped.deploy()
    _settle(equipped)
    assert "it is not switched on" in _lines(equipped)[-1]
    equipped.see(Seen.OFFERED, file="x")
    assert equipped.state() == "offered"


def test_what_is_under_way_is_not_started_again(
    opened: Opened, tmp_path: Path, hands: Hands
) -> None:
    """After a controller's restart an awaited machine is started, never one that was seen."""
    first = opened(tmp_path, hands=hands)
    first.enrol()
    first.good("PUT", POWER, BMC)
    first.deploy(cycle=True)
    first.close()
    second = opened(tmp_path, hands=hands)
    _settle(second)
    assert [job.cycle for job in hands.jobs] == [True, False]
    second.see(Seen.OFFERED, file="x")
    second.close()
    third = opened(tmp_path, hands=hands)
    _settle(third)
    assert len(hands.jobs) == 2


def test_none_says_switch_it_on(appliance: Appliance) -> None:
    """Nothing is sent; who watches reads what to do."""
    appliance.enrol()
    appliance.good("PUT", POWER, {"driver": "none"})
    made = appliance.deploy()
    appliance.house.wake_loop.wake()
    assert appliance.power.woken == []
    (line,) = [event for event in appliance.history() if event.deployment and event.kind == "power"]
    assert (line.deployment, line.message) == (made["id"], "switch it on: nothing here can do that")


def test_slow_bmcs_hold_nobody_up(opened: Opened, tmp_path: Path) -> None:
    """While every BMC hangs, arming, looking and Wake-on-LAN go on; few are waited for at once."""
    release, at_work = threading.Event(), threading.Semaphore(0)

    def hang(job: Job) -> Outcome:
        at_work.release()
        assert release.wait(120)
        return Outcome("done")

    hands = Hands(hang)
    appliance = opened(tmp_path, hands=hands)
    for number in range(12):
        name = f"node{number}"
        appliance.enrol(name, f"52:54:00:77:01:{number:02x}")
        appliance.good("PUT", f"/v1/machines/{name}/power", BMC)
        assert appliance.deploy(name)["state"] == "armed"
    for _ in range(4):
        assert at_work.acquire(timeout=60)
    appliance.enrol("node99", "52:54:00:77:02:00")
    appliance.deploy("node99")
    appliance.house.wake_loop.wake()
    assert appliance.power.woken == ["52:54:00:77:02:00"]
    assert len(hands.jobs) == 4
    release.set()
    _settle(appliance)
    assert 4 <= len(hands.jobs) <= 12


@dataclass
class Board:
    """A driver that remembers what it was told."""

    able: frozenset[Operation]
    state: PowerState = PowerState.OFF
    broken: frozenset[Operation] = frozenset()
    told: list[Operation] = field(default_factory=list)
    name: str = "board"
    settings: type[Any] = object
    secrets: frozenset[str] = frozenset()
    remote: bool = True

    def can(self, _settings: Any, /) -> frozenset[Operation]:
        return self.able

    def carry_out(self, operation: Operation, _settings: Any, _target: Target, /) -> Outcome:
        assert operation in self.able
        self.told.append(operation)
        if operation in self.broken:
            raise BrokenError(f"no {operation}")
        return Outcome(f"did {operation}", self.state)


ALL = frozenset(Operation)
ON, CYCLE, STATUS, NET = (
    Operation.ON,
    Operation.CYCLE,
    Operation.STATUS,
    Operation.BOOT_NETWORK,
)


@pytest.mark.parametrize(
    ("board", "cycle", "told"),
    [
        (Board(ALL), False, [NET, STATUS, ON]),
        (Board(ALL, PowerState.ON), False, [NET, STATUS]),
        (Board(ALL, PowerState.ON), True, [NET, STATUS, CYCLE]),
        (Board(ALL, PowerState.UNKNOWN), False, [NET, STATUS, ON]),
        (Board(ALL, broken=frozenset({NET})), False, [NET, STATUS, ON]),
        (Board(frozenset({ON})), False, [ON]),
        (Board(frozenset({ON, CYCLE}), PowerState.ON), True, [CYCLE]),
    ],
)
def test_a_start_does_what_its_driver_can(board: Board, cycle: bool, told: list[Operation]) -> None:
    """The network first where it can be chosen; and what runs is left running, unless asked."""
    checked: Driver = board
    start(checked, None, Target("node1", ()), cycle)
    assert board.told == told


# Secrets


def test_texts_lose_secrets_in_every_form() -> None:
    """As they are, as in a URL, in JSON, and as basic authentication."""
    said = f'{CANARY} canary-0a1b2c%26d%20e "{CANARY}" bWU6Y2FuYXJ5LTBhMWIyYyZkIGU='
    assert hide(said, (CANARY,), "me") == '*** *** "***" ***'


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Every record of every logger, from debug upwards."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not record.name.startswith(("werkzeug", "sushy_tools")):  # the BMC's own
                lines.append(record.getMessage())

    root, keep = logging.getLogger(), Keep()
    before = root.level
    root.addHandler(keep)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(keep)
    root.setLevel(before)


def test_no_secret_leaves_by_any_way(
    opened: Opened, tmp_path: Path, logged: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """Not in a reply, an event, the metrics, a log or the files: whatever the BMC is and says."""
    (tmp_path / "bmc").mkdir()
    workers = Workers(60)
    appliance = opened(tmp_path / "state", hands=workers)
    appliance.enrol()
    said: list[str] = []
    with bmc.redfish(tmp_path / "bmc", Plug(), tls=False) as made:
        hook = {
            "on": {"url": f"{made.url}/${{key}}", "method": "GET"},
            "headers": {"x-key": CANARY},
            "secrets": {"key": CANARY},
            "user": "me",
            "password": CANARY,
        }
        for driver, settings in (
            ("redfish", {"address": made.url, "user": bmc.USER, "password": CANARY}),
            ("redfish", {"address": "127.0.0.1:1", "user": "me", "password": CANARY}),
            ("ipmi", {"address": "127.0.0.1:1", "user": "me", "password": CANARY}),
            ("webhook", hook),
        ):
            body = {"driver": driver, "settings": settings}
            for method, path, document in (
                ("PUT", POWER, body),
                ("GET", POWER, None),
                ("POST", f"{POWER}/on", {}),
                ("GET", f"{POWER}/status", None),
                ("GET", "/v1/machines/node1", None),
                ("GET", "/metrics", None),
            ):
                said.append(appliance.call(method, path, document).text)
            made_id = appliance.deploy()["id"]
            said.append(appliance.call("POST", f"/v1/deployments/{made_id}/cancel", {}).text)
    _settle(appliance)
    said += [str(event) for event in appliance.history()]
    captured = capfd.readouterr()
    said += [captured.out, captured.err, *logged]
    words = drivers.secret_words(drivers.find("redfish"), {"password": CANARY})
    assert [text for text in said if hide(text, words, "me") != text] == []
    files = [path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert [1 for raw in files if CANARY.encode() in raw] == []
    assert sum("refuses this user and password" in text for text in said) >= 2


def test_errors_of_unknown_kinds_are_still_ours(equipped: Appliance, hands: Hands) -> None:
    """Whatever goes wrong in between, the caller reads a problem."""

    def fail(job: Job) -> Outcome:
        raise IronwakeError("odd")

    hands.answer = fail
    reply = equipped.call("POST", f"{POWER}/on")
    assert reply.headers["content-type"] == "application/problem+json"
