"""What happens by the clock: arms expire, deadlines pass, files change."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from ironwake.errors import IronwakeError
from ironwake.lifecycle import State
from ironwake.profile import Finish
from ironwake.report import Seen
from ironwake_controller import arming, judge, ledger
from ironwake_controller.lease_book import LeaseBook
from ironwake_controller.recent import Recent
from ironwake_controller.store import deployments, receipts
from ironwake_controller.store.deployments import Record
from ironwake_controller.store.store import Store, Tx
from ironwake_controller.surroundings import Surroundings
from ironwake_runtime.outage import Outage
from ironwake_runtime.service import Log

# Seconds: between rounds, between looks at files and interfaces, between prunings.
_ROUND, _LOOK, _PRUNE = 0.5, 3.0, 600.0


class Housekeeping:
    """`scale` multiplies every deadline. `round` does what is due now; `run` does that for ever."""

    def __init__(
        self,
        store: Store,
        surroundings: Surroundings,
        lease_book: LeaseBook,
        recent: Recent,
        log: Log,
        scale: float = 1.0,
    ) -> None:
        self._store = store
        self._surroundings = surroundings
        self._lease_book = lease_book
        self._recent = recent
        self._log = log
        self._scale = scale
        self._untold = False  # something has changed, and could not be written yet
        self._outages: dict[str, Outage] = {}

    async def run(self) -> None:
        """Until cancelled; what fails in one round is logged and tried again in the next."""
        look = prune = 0.0
        while True:
            await self._try(self.keep_time)
            now = self._store.clock.monotonic()
            if now >= look:
                look = now + _LOOK
                await self._try(self.look)
            if now >= prune:
                prune = now + _PRUNE
                await self._try(self.prune)
            await asyncio.sleep(_ROUND)

    async def _try(self, work: Callable[[], None]) -> None:
        name = work.__name__
        outage = self._outages.setdefault(name, Outage(self._log, f"housekeeping failed: {name}"))
        try:
            await asyncio.to_thread(work)
        except (IronwakeError, OSError, SQLAlchemyError) as error:  # a full disk, for one
            outage.failed(error)
        except Exception as error:  # noqa: BLE001 (the rounds go on, whatever it is)
            outage.surprised(error)
        else:
            outage.over()

    def look(self) -> None:
        """See whether anything around has changed, and tell the data plane."""
        now = self._store.clock.monotonic()
        if self._lease_book.has_ended() | self._recent.foreign.forget(now):
            self._untold = True
        self.refresh()
        if self._untold:
            with self._store.write() as tx:
                tx.touch()
            self._untold = False

    def refresh(self) -> None:
        """See what is around; the data plane is told of it at the next look."""
        if self._surroundings.refresh():
            self._untold = True

    def prune(self) -> None:
        """Forget what only repeats within minutes need."""
        with self._store.write() as tx:
            receipts.prune(tx)

    def keep_time(self) -> None:
        """Expire arms, and say which deployments are stuck."""
        with self._store.read() as connection:
            live = deployments.live(connection)
        names = {record.id for record in live}
        self._recent.keep(names)
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
                if record.state is State.LOADER:
                    verdict = _of_loader(tx, record, verdict)
                elif question := ledger.last(tx, record, "question"):
                    cause = f"{verdict.cause}; {question['asked']}"
                    verdict = dataclasses.replace(verdict, cause=cause)
                said = {key: str(value) for key, value in dataclasses.asdict(verdict).items()}
                deployments.change(tx, record, stuck=said)
                ledger.note(tx, record, "stuck", f"{verdict.cause}; {verdict.next_step}", **said)

    def _verdict(self, record: Record, now: float) -> judge.Stuck | None:
        """The judgement, where it was not spoken already."""
        if record.stuck is not None or _waits_for_a_person(record):
            return None
        return judge.stuck(record.state, self._recent.pulse.quiet(record.id, now), self._scale)


def _waits_for_a_person(record: Record) -> bool:
    """It was to be off, or at a shell, when its installation had ended."""
    asked = record.deployment.profile.finish in (Finish.POWEROFF, Finish.SHELL)
    return asked and record.state is State.INSTALLED


def _of_loader(tx: Tx, record: Record, verdict: judge.Stuck) -> judge.Stuck:
    """Why a loader that was fetched led no further, as far as what was asked for tells."""
    if ledger.last(tx, record, str(Seen.SCRIPT)) is not None:
        return verdict  # it ran: what came after it is another matter
    sent = ledger.last(tx, record, str(Seen.SENT)) or {}
    fetched = sent.get("file", "") if sent.get("complete") != "no" else ""
    offered = ledger.last(tx, record, str(Seen.OFFERED), State.OFFERED) or {}
    warned = offered.get("warning", "")
    return judge.refused(verdict, fetched, warned)
