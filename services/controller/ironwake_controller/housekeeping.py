"""What happens by the clock: arms expire, deadlines pass, sleepers are woken, files change."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable

from ironwake.errors import IronwakeError
from ironwake.lifecycle import State
from ironwake_controller import arming, judge, ledger
from ironwake_controller.metrics import Metrics
from ironwake_controller.pulse import Pulse
from ironwake_controller.store import deployments, events, machines, receipts
from ironwake_controller.store.deployments import Record
from ironwake_controller.store.events import Event
from ironwake_controller.store.store import Store
from ironwake_controller.surroundings import Surroundings
from ironwake_controller.waking import Packet, Send, Waker
from ironwake_runtime.service import Log

# Seconds: between rounds, between looks at files and interfaces, between prunings.
_ROUND, _LOOK, _PRUNE = 0.5, 3.0, 600.0


class Housekeeping:
    """`scale` multiplies every deadline. `round` does what is due now; `run` does that for ever."""

    def __init__(
        self,
        store: Store,
        surroundings: Surroundings,
        pulse: Pulse,
        waker: Waker,
        send: Send,
        metrics: Metrics,
        log: Log,
        scale: float = 1.0,
    ) -> None:
        self._store = store
        self._surroundings = surroundings
        self._pulse = pulse
        self._waker = waker
        self._send = send
        self._metrics = metrics
        self._log = log
        self._scale = scale

    async def run(self) -> None:
        """Until cancelled; what fails in one round is logged and tried again in the next."""
        look = prune = 0.0
        while True:
            bell = self._waker.bell.listen()
            await self._try(self.wake)
            await self._try(self.keep_time)
            now = self._store.clock.monotonic()
            if now >= look:
                look = now + _LOOK
                await self._try(self.look)
            if now >= prune:
                prune = now + _PRUNE
                await self._try(self.prune)
            await self._waker.bell.wait(bell, _ROUND)

    async def _try(self, work: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(work)
        except Exception as error:  # noqa: BLE001 (a full disk must not end it)
            self._log.error("housekeeping failed", error=f"{type(error).__name__}: {error}")

    def look(self) -> None:
        """See whether the interface or the artifacts have changed, and tell the data plane."""
        if self._surroundings.refresh():
            with self._store.write() as tx:
                tx.touch()

    def prune(self) -> None:
        """Forget what only repeats within minutes need."""
        with self._store.write() as tx:
            receipts.prune(tx)

    def resume(self) -> None:
        """After a start: go on waking the machines that are still awaited."""
        with self._store.read() as connection:
            live = deployments.live(connection)
            known = {there.id: there.machine for there in machines.every(connection)}
        now = self._store.clock.monotonic()
        for record in live:
            machine = known.get(record.machine_id)
            if record.wake and record.state is State.ARMED and machine is not None:
                mac, until = machine.macs[0], self.until(record)
                self._waker.begin(record.machine_id, mac, now, until, record.id)

    def until(self, record: Record) -> float:
        """When waking for this deployment ends, by the monotonic clock."""
        return min(record.expires_at, self._store.clock.monotonic() + self.patience)

    @property
    def patience(self) -> float:
        """Seconds for which a machine that was woken is waited for."""
        return judge.patience(State.ARMED) * self._scale

    def keep_time(self) -> None:
        """Expire arms, and say which deployments are stuck."""
        with self._store.read() as connection:
            live = deployments.live(connection)
        self._pulse.keep({record.id for record in live})
        now = self._store.clock.monotonic()
        late = [r.id for r in live if self._verdict(r, now) or arming.is_over(r, now)]
        for name in late:
            with self._store.write() as tx:
                record = deployments.by_id(tx.connection, name)
                if record is None or arming.expire(tx, record):
                    continue
                verdict = self._verdict(record, tx.steady)
                if verdict is None:
                    continue
                said = {key: str(value) for key, value in dataclasses.asdict(verdict).items()}
                deployments.change(tx, record, stuck=said)
                ledger.note(tx, record, "stuck", f"{verdict.cause}; {verdict.next_step}", **said)

    def _verdict(self, record: Record, now: float) -> judge.Stuck | None:
        """The judgement, where it was not spoken already."""
        if record.stuck is not None:
            return None
        return judge.stuck(record.state, self._pulse.quiet(record.id, now), self._scale)

    def wake(self) -> None:
        """Send the magic packets that are due."""
        for packet in self._waker.due(self._store.clock.monotonic()):
            if packet.deployment and not self._awaits(packet):
                self._waker.stop(packet.machine_id)
            else:
                self._wake(packet)

    def _awaits(self, packet: Packet) -> bool:
        """Whether the deployment still waits for its machine."""
        with self._store.read() as connection:
            record = deployments.by_id(connection, packet.deployment)
        return record is not None and record.state is State.ARMED

    def _wake(self, packet: Packet) -> None:
        message, reason = f"a magic packet went to {packet.mac}", ""
        try:
            self._send(packet.mac)
            self._metrics.packets.inc()
        except IronwakeError as error:
            message = reason = str(error)
            self._log.warning("not woken", mac=packet.mac, error=reason)
        # The history tells the first of them, and a failure that is news.
        if packet.number > 1 and not reason:
            return
        with self._store.write() as tx:
            there = machines.by_id(tx.connection, packet.machine_id)
            if there is None:
                return
            record = deployments.latest(tx.connection, packet.machine_id)
            live = record if record is not None and not record.ended_already else None
            event = Event(
                "wake",
                there.machine.name,
                live.id if live else "",
                state=str(live.state) if live else "",
                message=message,
                detail={"mac": str(packet.mac), "reason": reason},
            )
            told = events.alike(tx.connection, event, 1) if reason else ()
            if not any(detail.get("reason") == reason for detail in told):
                events.add(tx, event)
