"""What machines report under their tokens: progress, the end, logs, facts, health."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ironwake import wire
from ironwake.errors import GoneError, InputError, RefusedError, UnknownError
from ironwake.lifecycle import Evidence, State, advance
from ironwake.report import QUESTION, STAGE_EVIDENCE, Callback, HealthReport, Stage
from ironwake.sizes import octets
from ironwake_controller import identity, ledger
from ironwake_controller.metrics import Metrics
from ironwake_controller.pulse import Pulse
from ironwake_controller.store import deployments, machines, receipts
from ironwake_controller.store.deployments import Record
from ironwake_controller.store.store import Store, Tx

_MOST = 10_000  # reports of one deployment; an installation takes some hundred
_FACTS, _LONGEST = 200, 500  # facts, and characters of each
_DISKS, _PARTS = 128, 128  # of a machine, and of each disk
_ID = 100  # characters of a report's id: a longer one would be taken for another one's repeat
_MESSAGE = 16_000  # characters of a message: the agent's longest piece of log

_KINDS = {
    Stage.INSTALLING: "progress",
    Stage.WORKING: "progress",
    Stage.INSTALLED: "installed",
    Stage.DONE: "succeeded",
    Stage.FAILED: "failed",
}


class Callbacks:
    """Each report counts once, by its id; all are committed before they are acknowledged."""

    def __init__(self, store: Store, pulse: Pulse, metrics: Metrics) -> None:
        self._store = store
        self._pulse = pulse
        self._metrics = metrics

    def take(self, token: str, callback: Callback) -> None:
        """Commit a machine's report.

        :raises UnknownError: no such token
        :raises RefusedError: out of turn
        :raises GoneError: the deployment is over
        """
        callback = _check(callback)
        with self._store.write() as tx:
            record = deployments.by_token(tx.connection, token)
            if record is None:
                raise UnknownError("there is no deployment with this token", "", "token")
            if not receipts.take(tx, record.id, callback.id):
                return
            if record.ended_already:
                raise GoneError(f"the deployment is over: {record.state}", "stop")
            _check_stage(record, callback.stage)
            if record.callbacks >= _MOST:
                raise RefusedError(f"this deployment has sent {_MOST} reports", "send fewer")
            self._take(tx, record, callback)
        self._metrics.callbacks.labels(str(callback.stage)).inc()

    def _take(self, tx: Tx, record: Record, callback: Callback) -> None:
        columns: dict[str, Any] = {"callbacks": record.callbacks + 1}
        # A log is no sign of work: an installer that waits at a question still has its clock's,
        # its network's and its kernel's lines to send.
        if callback.stage is not Stage.LOG:
            self._pulse.beat(record.id, tx.steady)
            columns |= {"stuck": None} if record.stuck is not None else {}
        moved = callback.stage not in (Stage.FACTS, Stage.LOG)
        if record.claimed and record.claimed.open and moved:
            columns["claim"] = replace(record.claimed, open=False)
            tx.disarm()  # an older copy would hand the answers out again
        if callback.stage in STAGE_EVIDENCE and _is_news(record, callback):
            _advance(tx, record, callback, columns)
            return
        deployments.change(tx, record, **columns)
        if callback.stage is Stage.FACTS:
            self._facts(tx, record, callback)
        elif callback.stage is Stage.LOG:
            # A question that an installer waits at is what a person has to know of its log.
            asked = {"asked": callback.message} if callback.step == QUESTION else {}
            kind = "question" if asked else "log"
            ledger.note(tx, record, kind, callback.message, step=callback.step, **asked)

    def _facts(self, tx: Tx, record: Record, callback: Callback) -> None:
        facts = callback.facts
        there = machines.by_id(tx.connection, record.machine_id)
        if there is None:
            return
        machines.set_facts(tx, there.id, facts, callback.disks)
        ledger.note(tx, record, "facts", "the machine described itself", facts=facts)
        wrong = identity.mismatch(there.machine, there.memory, record.deployment.uuid, facts)
        if not wrong:
            uuid = there.memory.uuid or identity.uuid_of(facts)
            secure = facts.get("secure_boot", "")
            known = secure if secure in ("on", "off") else there.memory.secure_boot
            ram = _ram(facts) or there.memory.ram
            memory = replace(there.memory, uuid=uuid, secure_boot=known, ram=ram)
            machines.remember(tx, there, memory)
        else:
            self._metrics.alarms.inc()
            held = record.held if identity.is_serial(record.held) else wrong
            deployments.change(tx, record, held=held)
            machines.remember(tx, there, identity.noted(there.machine, there.memory, facts))
            tx.disarm()  # no further boot: the ramdisk would only be refused again, and restart
            ledger.note(tx, record, "alarm", f"{wrong}: its answers are held back", facts=facts)

    def health(self, token: str, report: HealthReport) -> None:
        """Commit the installed system's first words: healthy, and with no further checks, done.

        Its repeat, when our reply was lost, is fine.

        :raises UnknownError: no such token
        :raises RefusedError: the installation has not ended yet
        :raises GoneError: the deployment ended otherwise
        """
        with self._store.write() as tx:
            record = deployments.by_health_token(tx.connection, token)
            if record is None:
                raise UnknownError("there is no deployment with this token", "", "token")
            if record.state is State.SUCCEEDED:
                return
            if record.ended_already:
                raise GoneError(f"the deployment is over: {record.state}", "stop")
            method = record.deployment.profile.method
            if not method.brings_up:
                raise RefusedError("nothing was installed here that could be healthy", "")
            self._pulse.beat(record.id, tx.steady)
            if method.installs:
                _arrived(tx, record)
            said = {key: value[:_LONGEST] for key, value in _words(report).items()}
            title = said.get("system", "the installed system")
            place = "the disk" if method.installs else "memory"
            entry = ledger.Entry("healthy", f"{title} reported from {place}", said)
            healthy = ledger.move(tx, record, Evidence.HEALTH, entry)
            entry = ledger.Entry("succeeded", f"{record.deployment.machine} is healthy", said)
            ledger.move(tx, healthy, Evidence.CONFIRM, entry)
        self._metrics.health.inc()


def _ram(facts: dict[str, str]) -> int:
    """Bytes; 0 where they say none."""
    try:
        return octets(facts.get("memory", ""))
    except InputError:
        return 0


def _check_stage(record: Record, stage: Stage) -> None:
    """An installation ends by its system's health, and by no word of whoever has its token."""
    method = record.deployment.profile.method
    others = {Stage.WORKING, Stage.DONE} if method.installs else {Stage.INSTALLING, Stage.INSTALLED}
    if stage in others or (stage is Stage.DONE and method.brings_up):
        raise RefusedError(f"a deployment by method {method} is never {stage}", "")


def _arrived(tx: Tx, record: Record) -> None:
    """It came up from its disk: the way there has worked, and it is who it was."""
    there = machines.by_id(tx.connection, record.machine_id)
    if there is not None:
        uuid = there.memory.uuid or record.deployment.uuid
        machines.remember(tx, there, replace(there.memory, uuid=uuid, proved=True))


def _words(report: HealthReport) -> dict[str, str]:
    data = wire.dump(report)
    facts = data.pop("facts")
    own = {key: value for key, value in data.items() if value}
    return dict(list((facts | own).items())[:_FACTS])


def _check(callback: Callback) -> Callback:
    """What is kept of a report: refused where it can't be right, cut where it is only long."""
    percent = callback.percent
    if percent is not None and not (math.isfinite(percent) and 0 <= percent <= 100):
        raise InputError(f"{percent!r} is not a percentage", "give 0 to 100", "percent")
    facts = callback.facts
    if len(facts) > _FACTS or any(
        len(key) + len(value) > 2 * _LONGEST for key, value in facts.items()
    ):
        raise InputError("these are too many facts, or too long ones", "send fewer", "facts")
    if len(callback.disks) > _DISKS or any(len(disk.parts) > _PARTS for disk in callback.disks):
        raise InputError("these are too many disks, or partitions", "send fewer", "disks")
    if len(callback.id) > _ID:
        raise InputError(f"an id has at most {_ID} characters", "send a shorter one", "id")
    return replace(callback, step=callback.step[:_LONGEST], message=callback.message[:_MESSAGE])


def _is_news(record: Record, callback: Callback) -> bool:
    """Whether there is anything to tell. RefusedError where the table has no such step."""
    after = advance(record.state, STAGE_EVIDENCE[callback.stage])
    if after is not record.state:
        return True
    told = (callback.step, callback.percent, callback.message)
    if told == (record.step, record.percent, record.message):
        return False
    return after is not State.INSTALLED  # else a repeat whose reply was lost, under another id


def _advance(tx: Tx, record: Record, callback: Callback, columns: dict[str, Any]) -> None:
    detail = {"step": callback.step, "percent": callback.percent}
    ledger.move(
        tx,
        record,
        STAGE_EVIDENCE[callback.stage],
        ledger.Entry(
            _KINDS[callback.stage],
            callback.message or _words_of(callback),
            {key: value for key, value in detail.items() if value not in ("", None)},
            columns=columns
            | {
                "step": callback.step or record.step,
                "percent": callback.percent if callback.percent is not None else record.percent,
                "message": callback.message,
            },
        ),
    )


def _words_of(callback: Callback) -> str:
    match callback.stage:
        case Stage.INSTALLED:
            return "the system is on the disk"
        case Stage.DONE:
            return "it is done"
        case Stage.FAILED:
            return "it failed"
    return callback.step
