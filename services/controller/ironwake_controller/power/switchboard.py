"""Switches machines: asked by a person, or because a deployment was armed.

What talks to a BMC waits for minutes at worst: it does so in threads of its own, few of them, and
never inside a transaction. Those who ask and those who are started do not wait for each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from ironwake import wire
from ironwake.errors import IronwakeError
from ironwake.lifecycle import State
from ironwake_controller import enrolment, judge, ledger
from ironwake_controller.power import drivers, equipment
from ironwake_controller.power.driver import Operation, Outcome, PowerState, Target, check_can
from ironwake_controller.power.equipment import Equipped
from ironwake_controller.power.job import Job
from ironwake_controller.safe import Safe
from ironwake_controller.store import deployments, events, machines
from ironwake_controller.store.deployments import Record
from ironwake_controller.store.events import Event
from ironwake_controller.store.machines import Enrolled
from ironwake_controller.store.store import Store, Tx
from ironwake_controller.wake.queue import WakeQueue
from ironwake_runtime.service import Log

_ASKED, _STARTED = 4, 4  # child processes at once, of 30 MB and half a second of a processor each


class Hands(Protocol):
    """Does a remote driver's work: `job.Workers`, or what a test holds."""

    def carry_out(self, job: Job) -> Outcome:
        """Wait until it is done; an IronwakeError says why it was not."""

    def close(self) -> None:
        """End what is at work, and begin nothing more."""


@dataclass(frozen=True)
class Switched:
    """One machine with what switches it."""

    there: Enrolled
    equipped: Equipped

    @property
    def name(self) -> str:
        return str(self.there.machine.name)

    def job(self, operation: Operation | None, cycle: bool = False) -> Job:
        own = self.equipped
        plain = wire.dump(own.settings)
        macs = tuple(str(mac) for mac in self.there.machine.macs)
        return Job(own.driver.name, plain, self.name, macs, operation, cycle)


class Switchboard:
    """`hands` do what remote drivers have to do; `scale` multiplies every deadline."""

    def __init__(
        self, store: Store, safe: Safe, queue: WakeQueue, hands: Hands, log: Log, scale: float = 1.0
    ) -> None:
        self._store = store
        self._safe = safe
        self._queue = queue
        self._hands = hands
        self._log = log
        self._scale = scale
        self._asked = ThreadPoolExecutor(_ASKED, "power-asked")
        self._started = ThreadPoolExecutor(_STARTED, "power-started")

    # Settings

    def find(self, name: str) -> Switched:
        """The machine of this name or card, and what switches it."""
        with self._store.read() as connection:
            there = enrolment.find(connection, name)
            return Switched(there, equipment.of(connection, self._safe, there))

    def equip(self, name: str, driver: str, given: Mapping[str, Any]) -> Switched:
        """Give it this driver and these settings, in place of all that it had."""
        found = drivers.find(driver)
        with self._store.write() as tx:
            there = enrolment.find(tx.connection, name)
            equipped = equipment.keep(tx, self._safe, there, found, given)
            _tell(tx, there, f"its power driver is {driver} from now on", driver)
        return Switched(there, equipped)

    def strip(self, name: str) -> None:
        """Forget its driver, and its secrets: it is woken by Wake-on-LAN again."""
        with self._store.write() as tx:
            there = enrolment.find(tx.connection, name)
            if machines.power(tx.connection, there.id) is None:
                return
            machines.set_power(tx, there.id, None)
            _tell(tx, there, "its power driver is forgotten", drivers.DEFAULT.name)

    # Asked by a person

    async def carry_out(self, name: str, operation: Operation) -> tuple[Switched, Outcome]:
        """Do it now; an IronwakeError says why it could not be done."""
        machine = await asyncio.to_thread(self.find, name)
        own = machine.equipped
        check_can(own.driver, own.settings, operation, machine.name)
        if not own.driver.remote:
            return machine, await asyncio.to_thread(self._do, machine, operation)
        doing = self._asked.submit(self._do, machine, operation)
        return machine, await asyncio.wrap_future(doing)

    def _do(self, machine: Switched, operation: Operation) -> Outcome:
        try:
            outcome = self._now(machine, operation)
        except IronwakeError as error:
            self._report(machine, f"{operation}: {error}", operation, str(error))
            raise
        if operation is not Operation.STATUS:
            self._report(machine, f"{operation}: {outcome.message}", operation)
        return outcome

    def _now(self, machine: Switched, operation: Operation) -> Outcome:
        driver, settings = machine.equipped.driver, machine.equipped.settings
        if driver.remote:
            return self._hands.carry_out(machine.job(operation))
        until = self._store.clock.monotonic() + self.patience
        return driver.carry_out(operation, settings, self._target(machine, until))

    def _target(self, machine: Switched, until: float, deployment: str = "") -> Target:
        macs = tuple(str(mac) for mac in machine.there.machine.macs)
        return Target(machine.name, macs, lambda: self._begin(machine.there, until, deployment))

    def _begin(self, there: Enrolled, until: float, deployment: str) -> None:
        self._queue.begin(there.id, self._store.clock.monotonic(), until, deployment)

    def _report(
        self, machine: Switched, message: str, operation: Operation, reason: str = ""
    ) -> None:
        if reason:
            self._log.warning("not switched", machine=machine.name, error=reason)
        with self._store.write() as tx:
            driver = machine.equipped.driver.name
            detail = {"operation": str(operation), "reason": reason}
            _tell(tx, machine.there, message, driver, **detail)

    def wake(self, name: str) -> None:
        """Send magic packets, whatever its driver is, until it is seen or for some minutes."""
        with self._store.read() as connection:
            there = enrolment.find(connection, name)
        self._begin(there, self._store.clock.monotonic() + self.patience, "")

    # For a deployment

    def check_cycle(self, name: str) -> None:
        """RefusedError where its driver could not restart it."""
        own = self.find(name).equipped
        check_can(own.driver, own.settings, Operation.CYCLE, name)

    def start(self, record: Record, cycle: bool = False) -> None:
        """Begin to bring this deployment's machine up. Whatever comes of it, it goes on.

        A machine that runs is left running, unless `cycle` says that it shall be restarted.
        """
        try:
            machine = self.find(record.deployment.machine)
            if machine.equipped.driver.remote:
                self._started.submit(self._start, machine, record, cycle)
            else:
                self._start_here(machine, record)
        except IronwakeError as error:
            self._note(record, "", f"it is not switched on: {error}", str(error))

    def _start_here(self, machine: Switched, record: Record) -> None:
        own = machine.equipped
        if Operation.ON not in own.driver.can(own.settings):
            self._note(record, own.driver.name, "switch it on: nothing here can do that")
            return
        target = self._target(machine, self.until(record), record.id)
        own.driver.carry_out(Operation.ON, own.settings, target)

    def _start(self, machine: Switched, record: Record, cycle: bool) -> None:
        """In a thread of its own: nobody hears what it raises."""
        driver, found = machine.equipped.driver.name, PowerState.UNKNOWN
        try:
            if not self._awaits(record):
                return
            outcome = self._hands.carry_out(machine.job(None, cycle))
            message, reason, found = outcome.message, "", outcome.state
        except IronwakeError as error:
            message, reason = (
                f"it is not switched on: {error}; or press its power button",
                str(error),
            )
            self._log.warning("not switched on", machine=machine.name, error=str(error))
        except Exception as error:  # noqa: BLE001 (else it would be lost without a word)
            message = reason = f"it is not switched on: {type(error).__name__}"
            self._log.error("not switched on", machine=machine.name, error=reason, exc_info=error)
        self._note(record, driver, message, reason, found)

    def _awaits(self, record: Record) -> bool:
        """Whether it still waits for its machine: one that is being installed is left alone."""
        with self._store.read() as connection:
            now = deployments.by_id(connection, record.id)
        return now is not None and now.state is State.ARMED

    def _note(
        self,
        record: Record,
        driver: str,
        message: str,
        reason: str = "",
        found: PowerState = PowerState.UNKNOWN,
    ) -> None:
        detail = {"driver": driver, "reason": reason, "found": str(found)}
        with self._store.write() as tx:
            now = deployments.by_id(tx.connection, record.id)
            if now is not None:
                ledger.note(tx, now, "power", message, **detail)

    def resume(self) -> None:
        """After a start: go on bringing up the machines that are still awaited.

        Nothing is restarted: whether that was done already, nobody knows.
        """
        with self._store.read() as connection:
            live = deployments.live(connection)
        for record in live:
            if record.wake and record.state is State.ARMED:
                self.start(record)

    def until(self, record: Record) -> float:
        """When waking for this deployment ends, by the monotonic clock."""
        return min(record.expires_at, self._store.clock.monotonic() + self.patience)

    @property
    def patience(self) -> float:
        """Seconds for which a machine that was woken is waited for."""
        return judge.patience(State.ARMED) * self._scale

    def close(self) -> None:
        """Nothing begins any more; returns once all that was begun has ended."""
        self._hands.close()
        for pool in (self._asked, self._started):
            pool.shutdown(wait=True, cancel_futures=True)


def _tell(tx: Tx, there: Enrolled, message: str, driver: str, **detail: str) -> None:
    live = deployments.live_of(tx.connection, there.id)
    if live is not None:
        ledger.note(tx, live, "power", message, driver=driver, **detail)
    else:
        said = {"driver": driver, **detail}
        events.add(tx, Event("power", there.machine.name, message=message, detail=said))
