"""Whatever comes in whatever order: the promises about arms, claims and ends hold."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ironwake.errors import IronwakeError
from ironwake.lifecycle import ENDS, State
from ironwake.report import (
    Callback,
    ClaimRequest,
    HealthReport,
    Observation,
    Observations,
    Seen,
    Stage,
)
from ironwake_controller.arming import Wish
from ironwake_controller.history import replay
from ironwake_controller.store import deployments, events
from tests.controller.appliance import MAC, Appliance, FakeClock

_ORDER = list(State)
_CLIENTS = st.sampled_from([("10.77.0.100", "a"), ("10.77.0.100", "b"), ("10.77.0.66", "a")])


class AnyOrder(RuleBasedStateMachine):
    """One machine, its deployments, and everyone who may call, at random."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ironwake-test-"))
        self.clock = FakeClock()
        self.appliance = Appliance(self.folder, self.clock)
        self.tokens: list[tuple[str, str]] = []
        self.grants: dict[str, set[tuple[str, str]]] = {}
        self.seen_states: dict[str, State] = {}
        self.count = 0

    @initialize()
    def enrol(self) -> None:
        self.appliance.enrol()

    @rule(minutes=st.sampled_from([1.0, 60.0]))
    def deploy(self, minutes: float) -> None:
        profile, revision = self.appliance.house.profiles.get("web")
        wish = Wish("web", revision, profile, wake=False, minutes=minutes)
        try:
            record, new = self.appliance.house.arming.arm("node1", wish)
        except IronwakeError:
            return
        if new:
            self.tokens.append((record.deployment.token, record.deployment.health_token))

    @rule(data=st.data(), client=_CLIENTS)
    def claim(self, data: st.DataObject, client: tuple[str, str]) -> None:
        token = data.draw(st.sampled_from([token for token, _ in self.tokens] or ["f" * 64]))
        try:
            self.appliance.house.claims.claim(ClaimRequest(token, *client))
        except IronwakeError:
            return
        self.grants.setdefault(token, set()).add(client)

    @rule(data=st.data(), stage=st.sampled_from(list(Stage)), name=st.sampled_from(["", "1", "2"]))
    def report(self, data: st.DataObject, stage: Stage, name: str) -> None:
        token = data.draw(st.sampled_from([token for token, _ in self.tokens] or ["f" * 64]))
        self.count += 1
        callback = Callback(stage, name and f"{name}-{stage}", message=str(self.count))
        self._try(lambda: self.appliance.house.callbacks.take(token, callback))

    @rule(data=st.data())
    def health(self, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from([health for _, health in self.tokens] or ["f" * 64]))
        self._try(lambda: self.appliance.house.callbacks.health(token, HealthReport("node1")))

    @rule(seen=st.sampled_from(list(Seen)))
    def see(self, seen: Seen) -> None:
        self.count += 1
        item = Observation(f"x-{self.count}", "dhcp", seen, MAC)
        self.appliance.house.watch.take(Observations((item,)))

    @rule()
    def cancel(self) -> None:
        with self.appliance.house.store.read() as connection:
            live = deployments.live(connection)
        for record in live:
            self._try(lambda name=record.id: self.appliance.house.arming.cancel(name))

    @rule(seconds=st.sampled_from([1.0, 61.0, 301.0, 3601.0]))
    def wait(self, seconds: float) -> None:
        self.clock.pass_time(seconds)
        self.appliance.house.housekeeping.keep_time()

    @rule()
    def crash(self) -> None:
        self.appliance.die()
        self.appliance = Appliance(self.folder, self.clock)

    def _try(self, call: object) -> None:
        assert callable(call)
        try:
            call()
        except IronwakeError:
            return

    @invariant()
    def at_most_one_client_gets_the_answers(self) -> None:
        assert all(len(clients) == 1 for clients in self.grants.values())

    @invariant()
    def ends_stay_and_nothing_goes_back(self) -> None:
        with self.appliance.house.store.read() as connection:
            now = {r.id: r.state for r in deployments.page(connection, limit=1000)}
        for name, before in self.seen_states.items():
            assert _ORDER.index(now[name]) >= _ORDER.index(before)
            assert before not in ENDS or now[name] is before
        assert sum(state not in ENDS for state in now.values()) <= 1
        self.seen_states = now

    @invariant()
    def the_history_tells_the_same(self) -> None:
        with self.appliance.house.store.read() as connection:
            lines = events.after(connection, limit=100_000)
            now = {r.id: r.state for r in deployments.page(connection, limit=1000)}
        assert replay(lines).deployments == now
        for name in now:
            kinds = [line.kind for line in lines if line.deployment == name]
            assert kinds.count("claimed") <= 1
            assert kinds[0] == "armed"

    def teardown(self) -> None:
        self.appliance.die()
        shutil.rmtree(self.folder)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=10,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
