"""Never twice: whatever happens in whatever order, a disk is given up once per arm, or not at all.

What must hold is said by the invariants below; beside them: an arm is used up by the claim, and a
copy that is put back arms nobody. The history that judges is the test's own.
"""

from __future__ import annotations

import re
import sqlite3
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ironwake import loaders, routes, wire
from ironwake.firmware import FIRMWARE, Firmware
from ironwake.lifecycle import BOOTABLE, ENDS, State
from ironwake.loaders.base import Loader
from ironwake.mac import Mac
from ironwake.report import Callback, HealthReport, Stage
from ironwake_controller.history import replay
from ironwake_controller.store import deployments, events, machines, meta
from tests.never_twice.history import Arm, History
from tests.never_twice.rig import Rig

YEAR = timedelta(days=365)
NAMES = ("one", "two")
CARDS = {"one": Mac("52:54:00:77:00:11"), "two": Mac("52:54:00:77:00:12")}
STRANGER = Mac("52:54:00:77:00:99")
HOMES = {"one": "127.0.0.11", "two": "127.0.0.12", "": "127.0.0.99"}
UUIDS = {mac: uuid.uuid5(uuid.NAMESPACE_OID, mac).bytes for mac in (*CARDS.values(), STRANGER)}
SERIALS = {"one": "S1", "two": "S2"}
PAYLOADS = {"web": "order", "installer": "answers/preseed.cfg"}

_ORDER = list(State)
_NAMES = st.sampled_from(NAMES)
_MACS = st.sampled_from([*CARDS.values(), STRANGER])
_HOMES = st.sampled_from(list(HOMES.values()))
_BOOTS = st.sampled_from(["", "boot-1", "boot-2"])
_LOADERS = st.sampled_from(loaders.LOADERS)


class NeverTwice(RuleBasedStateMachine):
    """Two machines, a stranger, persons, an appliance and its misfortunes, at random."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig({HOMES[name]: mac for name, mac in CARDS.items()})
        self.history = History()
        self.copies: list[Path] = []
        self.sent: list[tuple[str, Callback]] = []
        self.states: dict[str, State] = {}  # of the deployments, when last looked at
        self.behind = False  # the services go by a view that somebody put back
        self.count = 0

    @property
    def now(self) -> float:
        return self.rig.clock.monotonic()

    # Persons

    @initialize(profile=st.sampled_from(list(PAYLOADS)))
    def begin(self, profile: str) -> None:
        for name in NAMES:
            self.a_person("enrol", name)
        self.arm(NAMES[0], profile, 60.0)

    def _up(self) -> bool:
        return self.rig.stage.current.house is not None

    @rule(deed=st.sampled_from(["enrol", "remove", "lock", "unlock", "cancel"]), name=_NAMES)
    def a_person(self, deed: str, name: str) -> None:
        match deed:
            case "enrol":
                body = {"name": name, "macs": [CARDS[name]], "serial": SERIALS[name]}
                assert self.rig.person("POST", "/v1/machines", body).status_code < 300
            case "remove":
                self._remove(name)
            case "cancel":
                self._cancel(name)
            case _:
                if self.rig.person("POST", f"/v1/machines/{name}/{deed}").status_code < 300:
                    change = self.history.locked.add if deed == "lock" else None
                    (change or self.history.locked.discard)(name)

    def _remove(self, name: str) -> None:
        if self.rig.person("DELETE", f"/v1/machines/{name}").status_code == 204:
            self.history.locked.discard(name)
            for arm in self.history.of(name):
                self.history.end(arm, "the machine was removed")

    def _cancel(self, name: str) -> None:
        for arm in self.history.of(name):
            if self.rig.person("POST", f"/v1/deployments/{arm.id}/cancel").status_code == 200:
                self.history.end(arm, "cancelled")

    @rule(
        name=_NAMES,
        profile=st.sampled_from(list(PAYLOADS)),
        minutes=st.sampled_from([1.0, 10.0, 60.0]),
    )
    def arm(self, name: str, profile: str, minutes: float) -> None:
        body = {"profile": profile, "minutes": minutes, "wake": False}
        reply = self.rig.person("POST", f"/v1/machines/{name}/deploy", body)
        if reply.status_code == 200:
            # The one that lives already: it must be one that may still be had.
            arm = self.history.by_id(reply.json()["id"])
            assert not arm.ended or arm.taken, arm.ended
        if reply.status_code != 201:
            return
        with self.rig.house.store.read() as connection:
            record = deployments.by_id(connection, reply.json()["id"])
        assert record is not None
        secret = record.deployment
        path = f"/deployments/{secret.token}/{PAYLOADS[profile]}"
        until = self.now + minutes * 60
        self.history.add(
            Arm(record.id, name, secret.token, secret.health_token, path, until, minutes)
        )

    # Machines before the claim

    @rule(mac=_MACS, other=_MACS, firmware=st.sampled_from(FIRMWARE), loader=_LOADERS)
    def boots(self, mac: Mac, other: Mac, firmware: Firmware, loader: Loader) -> None:
        """As far as it comes: DHCP, its loader, its script (or another's), kernel and ramdisk."""
        self.rig.discover(mac, firmware, UUIDS[mac])
        for name in ("sb/shimx64.efi", "ipxe/undionly.kpxe"):
            self.rig.tftp(name, mac)
        name = routes.boot_script(other, loader.script_name)
        by_http = self.rig.http(_home(mac), f"/{name}")
        assert by_http.status == 200
        self._shows_nothing_dead(by_http.text)
        self._shows_nothing_dead((self.rig.tftp(name, mac) or b"").decode())
        for path in re.findall(r"/artifacts/\w+/\S+", by_http.text):
            assert self.rig.http(_home(mac), path).status == 200

    # The claim, and what follows it

    @rule(data=st.data(), home=_HOMES, boot=_BOOTS)
    def asks_for_a_payload(self, data: st.DataObject, home: str, boot: str) -> None:
        token = data.draw(st.sampled_from([*self.history.arms, "f" * 64]))
        self._ask(token, home, boot)

    @rule(name=_NAMES, boot=_BOOTS)
    def takes_its_answers(self, name: str, boot: str) -> None:
        arms = self.history.of(name)
        if arms:
            self._ask(arms[-1].token, HOMES[name], boot)

    def _ask(self, token: str, home: str, boot: str) -> None:
        arm = self.history.arms.get(token)
        path = arm.payload if arm else f"/deployments/{token}/order"
        clear = self._up() and not self.rig.line.cut and not self.rig.line.lose
        lost, before = self.rig.line.lose, self.history.forbids(token, (home, boot), self.now)
        reply = self.rig.http(home, path, boot=boot)
        if reply.status == 200:
            assert arm is not None
            self.history.grant(token, (home, boot), self.now)
            self._no_route_boots(arm)
        else:
            assert reply.status in (404, 409, 410, 503), reply
            assert reply.body.startswith(b"# ")
        if arm and lost != self.rig.line.lose and not arm.taken:
            arm.unsure = True  # used up, perhaps, and nobody has it
        others = [HOMES[name] for name in NAMES if arm and name != arm.machine]
        if home in others:
            return  # by its card it is another machine
        if arm and clear and not before and not arm.unsure and not self.behind:
            assert reply.status == 200, (reply, arm)  # what is armed can be had

    def _no_route_boots(self, arm: Arm) -> None:
        """Used up by the claim, not by what follows it."""
        with self.rig.house.store.read() as connection:
            record = deployments.by_id(connection, arm.id)
        assert record is not None
        assert record.state not in BOOTABLE

    @rule(data=st.data(), stage=st.sampled_from(Stage), home=_HOMES)
    def reports(self, data: st.DataObject, stage: Stage, home: str) -> None:
        token = data.draw(st.sampled_from([*self.history.arms, "f" * 64]))
        self.count += 1
        arm = self.history.arms.get(token)
        serial = data.draw(st.sampled_from([SERIALS[arm.machine], "another"])) if arm else ""
        facts = {"serial": serial} if stage is Stage.FACTS else {}
        self._report(token, Callback(stage, f"c{self.count}", "step", facts=facts), home)

    @rule(name=_NAMES, stage=st.sampled_from([Stage.INSTALLING, Stage.INSTALLED]))
    def goes_on(self, name: str, stage: Stage) -> None:
        self.count += 1
        for arm in self.history.of(name)[-1:]:
            self._report(arm.token, Callback(stage, f"c{self.count}"), HOMES[name])

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def repeats_a_report(self, data: st.DataObject) -> None:
        token, said = data.draw(st.sampled_from(self.sent))
        self._report(token, said, HOMES["one"])

    def _report(self, token: str, said: Callback, home: str) -> None:
        self.sent.append((token, said))
        repeated = (token, said) in self.sent[:-1]
        path = f"/deployments/{token}/callbacks"
        lost = self.rig.line.lose
        reply = self.rig.http(home, path, "POST", body=wire.encode(said))
        arm = self.history.arms.get(token)
        if reply.status != 204 and lost == self.rig.line.lose:
            return
        if arm is None or (repeated and reply.status != 204):
            return
        if reply.status != 204:
            arm.unsure = True  # it counts, perhaps
            return
        if said.stage is Stage.FACTS:
            if said.facts["serial"] != SERIALS[arm.machine] and not repeated:
                self.history.end(arm, "held back: another machine")
            return
        arm.closed = arm.closed or arm.taken is not None
        arm.installed = arm.installed or said.stage is Stage.INSTALLED
        if said.stage is Stage.FAILED and not repeated:
            self.history.end(arm, "failed")

    @rule(data=st.data())
    def is_healthy(self, data: st.DataObject) -> None:
        health = data.draw(st.sampled_from([a.health for a in self.history.arms.values()] or ["e"]))
        body = wire.encode(HealthReport("one"))
        self.rig.http(HOMES["one"], f"/health/{health}", "POST", body=body)

    # Time, and misfortunes

    @rule(seconds=st.sampled_from([1.0, 20.0, 61.0, 301.0, 4000.0]), keep=st.booleans())
    def wait(self, seconds: float, keep: bool) -> None:
        self.rig.clock.pass_time(seconds)
        self.history.pass_time(self.now)
        if keep and self._up():
            self.rig.house.housekeeping.keep_time()

    @rule(jump=st.sampled_from([YEAR, -YEAR]))
    def the_time_of_day_jumps(self, jump: timedelta) -> None:
        self.rig.clock.day += jump

    @rule(orderly=st.booleans(), host=st.booleans())
    def restart(self, orderly: bool, host: bool) -> None:
        self._sound()
        self.rig.stop(orderly)
        if host:
            self._host_restarts()
        self.rig.start()

    def _host_restarts(self) -> None:
        self.count += 1
        self.rig.clock.boot, self.rig.clock.steady = f"run-{self.count}", 7.0
        for arm in self.history.arms.values():
            arm.unsure, arm.closed = True, arm.taken is not None
            if not arm.ended:  # by the time of day, which may have jumped: never more than it had
                arm.until = 7.0 + arm.minutes * 60

    @rule(whole=st.booleans())
    def back_up(self, whole: bool) -> None:
        aside = self.rig.folder / f"copy-{len(self.copies)}"
        (self.rig.copy_folder if whole else self.rig.copy_database)(aside)
        self.copies.append(aside)

    @precondition(lambda self: self.copies)
    @rule(data=st.data(), orderly=st.booleans(), epoch=st.booleans())
    def restore(self, data: st.DataObject, orderly: bool, epoch: bool) -> None:
        aside = data.draw(st.sampled_from(self.copies))
        self._sound()
        with self.rig.house.store.read() as connection:
            running = meta.epoch(connection)
        self.rig.stop(orderly)
        self.rig.put_back(aside)
        if not epoch:
            (self.rig.settings.epoch / "boot-epoch").unlink()
        self.rig.start()
        # Only a crash with nothing done since the copy leaves the same as it was.
        if orderly or not epoch or not self._is_of(aside, running.number):
            self.history.void("restored")
        self._believe_the_copy()
        self.states = {}

    def _is_of(self, aside: Path, epoch: int) -> bool:
        with sqlite3.connect(aside / "ironwake.sqlite") as connection:
            (number,) = connection.execute("SELECT value FROM meta WHERE key='epoch'").fetchone()
        connection.close()
        return int(number) == epoch

    def _believe_the_copy(self) -> None:
        """Machines and locks are what the copy says; arms are not."""
        with self.rig.house.store.read() as connection:
            there = machines.every(connection)
        self.history.locked = {one.machine.name for one in there if one.machine.locked}

    @rule(lost=st.integers(0, 3), cut=st.booleans())
    def the_line_breaks(self, lost: int, cut: bool) -> None:
        """Between the services and the controller: some replies are lost, or all gets lost."""
        self.rig.line.cut, self.rig.line.lose = cut, lost
        self.behind = self.behind and cut

    @precondition(lambda self: self.rig.views)
    @rule(data=st.data())
    def an_old_view_is_put_back(self, data: st.DataObject) -> None:
        """The services restart with what lay on their disks, and don't reach the controller."""
        self.rig.take(data.draw(st.sampled_from(self.rig.views)))
        self.rig.line.cut, self.behind = True, True

    # Invariants

    @invariant()
    def the_services_follow(self) -> None:
        """What the data plane goes by is what the controller says, once it has reached it."""
        if self.rig.line.cut:
            return
        self.rig.tell()
        self.rig.follow()
        assert self.rig.index is not None
        assert self.rig.index.view == self.rig.house.views.index().view

    @invariant()
    def every_question_has_an_answer(self) -> None:
        """Each card, known or not, by each firmware: the same reasoned answer, twice."""
        index = self.rig.index
        if index is None:
            return
        for mac in (*CARDS.values(), STRANGER):
            for firmware in FIRMWARE:
                decision = index.resolve(mac, firmware)
                assert decision == index.resolve(mac, firmware)
                assert decision.reason
            for loader in loaders.LOADERS:
                assert index.script(mac, loader) == index.script(mac, loader) != ""

    @invariant()
    def what_is_over_boots_the_disk(self) -> None:
        """With the present view, no script of any route leads to what is over."""
        if self.rig.line.cut or self.rig.index is None:
            return
        self._settle()
        for mac in (*CARDS.values(), STRANGER):
            for loader in loaders.LOADERS:
                self._shows_nothing_dead(self.rig.index.script(mac, loader))

    def _settle(self) -> None:
        """Arms run out by the controller's own rounds; the services hear of it."""
        if any(a.ended == "expired" and not a.taken for a in self.history.arms.values()):
            self.rig.house.housekeeping.keep_time()
            self.rig.follow()

    def _shows_nothing_dead(self, text: str) -> None:
        if self.behind or self.rig.line.cut:
            return  # an old view may lead to a payload, which is then not handed out
        for token in self.history.arms:
            assert token not in text or self.history.may_show(token), text

    def _sound(self) -> None:
        """The history, folded, is the state."""
        with self.rig.house.store.read() as connection:
            told = replay(events.after(connection, limit=100_000))
            states = {r.id: r.state for r in deployments.page(connection, limit=1000)}
            there = {one.machine.name: one.machine for one in machines.every(connection)}
        assert told.deployments == states
        assert told.machines == there
        for name, before in self.states.items():
            assert _ORDER.index(states[name]) >= _ORDER.index(before)
            assert before not in ENDS or states[name] is before
        self.states = states
        for arm in self.history.arms.values():
            if arm.installed and not arm.ended:
                assert states[arm.id] not in BOOTABLE

    def teardown(self) -> None:
        try:
            self._sound()
        finally:
            self.rig.close()


def _home(mac: Mac) -> str:
    return next((HOMES[name] for name, card in CARDS.items() if card == mac), HOMES[""])


_USUAL = settings(
    max_examples=200,
    stateful_step_count=25,
    report_multiple_bugs=False,
    # Without `explain`: it would trace every line.
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_never_twice() -> None:
    """Hundreds of sequences of anything that can happen: the invariants hold after each step."""
    run_state_machine_as_test(NeverTwice, settings=_USUAL)


@pytest.mark.deep
@pytest.mark.parametrize("number", range(20))
def test_never_twice_at_length(number: int) -> None:
    """The same for 10,000 sequences, in twenty portions, each with a seed of its own."""
    machine = seed(number)(NeverTwice)
    run_state_machine_as_test(machine, settings=settings(_USUAL, max_examples=500))
