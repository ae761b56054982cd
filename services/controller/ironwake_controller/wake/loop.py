"""Wakes machines one after the other, turn by turn, for as long as they are awaited."""

from __future__ import annotations

import asyncio

from ironwake.errors import IronwakeError
from ironwake.lifecycle import State
from ironwake_controller.metrics import Metrics
from ironwake_controller.power import equipment, wol
from ironwake_controller.safe import Safe
from ironwake_controller.store import deployments, events, machines
from ironwake_controller.store.deployments import Record
from ironwake_controller.store.events import Event
from ironwake_controller.store.machines import Enrolled
from ironwake_controller.store.store import Store
from ironwake_controller.wake.packets import Magic, Send
from ironwake_controller.wake.queue import Turn, WakeQueue
from ironwake_runtime.service import Log

_LONGEST = 0.5  # seconds between two looks


class WakeLoop:
    """`wake` takes the turn that is due now; `run` does that for ever."""

    def __init__(
        self, store: Store, safe: Safe, queue: WakeQueue, send: Send, metrics: Metrics, log: Log
    ) -> None:
        self._store = store
        self._safe = safe
        self._queue = queue
        self._send = send
        self._metrics = metrics
        self._log = log

    async def run(self) -> None:
        """Until cancelled; what fails in one turn is logged, and the next one comes."""
        while True:
            bell = self._queue.bell.listen()
            try:
                await asyncio.to_thread(self.wake)
            except Exception as error:  # noqa: BLE001 (a full disk must not end it)
                self._log.error("waking failed", error=f"{type(error).__name__}: {error}")
            rest = self._queue.rest(self._store.clock.monotonic())
            await self._queue.bell.wait(bell, min(rest, _LONGEST))

    def wake(self) -> None:
        """Send the packets of whoever's turn it is, if it is anybody's."""
        turn = self._queue.due(self._store.clock.monotonic())
        if turn is None:
            return
        with self._store.read() as connection:
            there = machines.by_id(connection, turn.machine_id)
            live = deployments.live_of(connection, turn.machine_id)
        if there is None or (turn.deployment and not _awaits(live, turn)):
            self._queue.stop(turn.machine_id)
            return
        self._take(turn, there, live)

    def _take(self, turn: Turn, there: Enrolled, live: Record | None) -> None:
        macs = there.machine.macs
        message, reason = f"a magic packet went to {' and '.join(macs)}", ""
        try:
            self._send(self._magic(there))
            self._metrics.packets.inc(len(macs))
        except IronwakeError as error:
            message = reason = str(error)
            self._log.warning("not woken", mac=macs[0], error=reason)
        # The history tells the first of them, and a failure that is news.
        if turn.number > 1 and not reason:
            return
        event = Event(
            "wake",
            there.machine.name,
            live.id if live else "",
            state=str(live.state) if live else "",
            message=message,
            detail={"mac": str(macs[0]), "reason": reason},
        )
        with self._store.write() as tx:
            told = events.alike(tx.connection, event, 1) if reason else ()
            if not any(detail.get("reason") == reason for detail in told):
                events.add(tx, event)

    def _magic(self, there: Enrolled) -> Magic:
        """All of its cards: which one has the cable, and which may wake it, nobody has told."""
        with self._store.read() as connection:
            settings = equipment.of(connection, self._safe, there).settings
        macs = there.machine.macs
        if not isinstance(settings, wol.Settings):
            return Magic(macs)  # it has a BMC, and a person asked to wake it nevertheless
        return Magic(macs, settings.targets, settings.interface, settings.secureon)


def _awaits(live: Record | None, turn: Turn) -> bool:
    """Whether the deployment still waits for its machine."""
    return live is not None and live.id == turn.deployment and live.state is State.ARMED
