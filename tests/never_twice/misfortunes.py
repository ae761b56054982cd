"""What befalls an appliance: time, restarts, restored copies, broken lines, old views."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from ironwake.lifecycle import BOOTABLE, ENDS, State
from ironwake_controller.history import replay
from ironwake_controller.store import deployments, events, machines, meta
from tests.never_twice.world import World

YEAR = timedelta(days=365)
_ORDER = list(State)


class Misfortunes(World):
    """Nobody wants them."""

    @rule(seconds=st.sampled_from([1.0, 20.0, 61.0, 301.0, 4000.0]), keep=st.booleans())
    def wait(self, seconds: float, keep: bool) -> None:
        self.pass_time(seconds)
        if keep:
            self.rig.house.housekeeping.keep_time()
            self.rig.house.housekeeping.look()

    @rule(jump=st.sampled_from([YEAR, -YEAR]))
    def the_time_of_day_jumps(self, jump: timedelta) -> None:
        self.rig.clock.day += jump
        self.leapt |= jump > timedelta()

    # Restarts

    @rule(orderly=st.booleans(), host=st.booleans())
    def restart(self, orderly: bool, host: bool) -> None:
        self.sound()
        self.rig.stop(orderly)
        if host:
            self._host_restarts()
        self.rig.start()

    def _host_restarts(self) -> None:
        if self.leapt:  # since anything was written: by the time of day, all leases have run out
            self.addresses.forget()
        self.count += 1
        self.rig.clock.boot, self.rig.clock.steady = f"run-{self.count}", 7.0
        self.dhcp_restarts()
        for arm in self.history.arms.values():
            arm.unsure, arm.closed = True, arm.taken is not None
            if not arm.ended:  # by the time of day, which may have jumped: never more than it had
                arm.until = 7.0 + arm.minutes * 60

    @rule()
    def dhcp_restarts(self) -> None:
        self.rig.dhcp.die()
        self.rig.dhcp.start()
        self.leapt = False
        self.forgotten()

    # Copies

    @rule(whole=st.booleans())
    def back_up(self, whole: bool) -> None:
        aside = self.rig.folder / f"copy-{len(self.copies)}"
        (self.rig.copy_folder if whole else self.rig.copy_database)(aside)
        self.copies.append(aside)

    @precondition(lambda self: self.copies)
    @rule(data=st.data(), orderly=st.booleans(), epoch=st.booleans())
    def restore(self, data: st.DataObject, orderly: bool, epoch: bool) -> None:
        aside = data.draw(st.sampled_from(self.copies))
        self.sound()
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
        """Machines and locks are what the copy says; arms, and who has begun them, are not."""
        with self.rig.house.store.read() as connection:
            there = machines.every(connection)
        self.history.locked = {one.machine.name for one in there if one.machine.locked}
        for arm in self.history.arms.values():
            arm.owner = ""

    # Lines

    @rule(lost=st.integers(0, 3), steps=st.integers(0, 6))
    def the_line_breaks(self, lost: int, steps: int) -> None:
        """Between the services and the controller: some replies are lost, or all for a while."""
        self.rig.line.lose = lost
        self._cut(steps)

    def _cut(self, steps: int) -> None:
        self.rig.line.cut, self.mended_in = steps > 0, steps
        self.behind = self.behind and self.rig.line.cut

    def time_mends(self) -> None:
        """Another step is done."""
        self._cut(max(0, self.mended_in - 1))

    @precondition(lambda self: self.rig.views)
    @rule(data=st.data(), steps=st.integers(1, 6))
    def an_old_view_is_put_back(self, data: st.DataObject, steps: int) -> None:
        """The services restart with what lay on their disks, and don't reach the controller."""
        self.rig.start_with(data.draw(st.sampled_from(self.rig.views)))
        self._cut(steps)
        self.behind = True

    def sound(self) -> None:
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
