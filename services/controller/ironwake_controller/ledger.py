"""Moves a deployment: the table's verdict, the row and the history, always together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ironwake.lifecycle import BOOTABLE, ENDS, Evidence, State, advance
from ironwake_controller.store import deployments, events
from ironwake_controller.store.deployments import Record
from ironwake_controller.store.events import Event
from ironwake_controller.store.store import Tx

_MOST = 50  # lines of one kind in one state


@dataclass(frozen=True)
class Entry:
    """What the history shall say about a move, and the columns that change with it."""

    kind: str
    message: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    plan: str = ""
    columns: dict[str, Any] = field(default_factory=dict)


def move(tx: Tx, record: Record, evidence: Evidence, entry: Entry) -> Record:
    """The deployment after this evidence; RefusedError where the table has no such step.

    Whatever evidence it is, it also ends a judgement of being stuck.
    """
    before = record.state
    after = advance(before, evidence)
    columns: dict[str, Any] = {"state": str(after), "stuck": None, **entry.columns}
    if after in ENDS:
        columns["ended"] = tx.now
    deployments.change(tx, record, **columns)
    events.add(
        tx,
        Event(
            kind=entry.kind,
            machine=record.deployment.machine,
            deployment=record.id,
            evidence=str(evidence),
            state=str(after),
            message=entry.message,
            detail=entry.detail,
            plan=entry.plan,
        ),
    )
    if after is not before:
        tx.touch()
    if (before in BOOTABLE) is not (after in BOOTABLE):
        tx.disarm()  # of the older copies: this one is armed, or used up, only from now on
    return replace(record, deployment=replace(record.deployment, state=after), stuck=None)


def note(tx: Tx, record: Record, kind: str, message: str = "", **detail: Any) -> None:
    """Say something in the history that moves nothing."""
    events.add(
        tx,
        Event(
            kind=kind,
            machine=record.deployment.machine,
            deployment=record.id,
            state=str(record.state),
            message=message,
            detail=detail,
        ),
    )


def last(tx: Tx, record: Record, kind: str, state: State | None = None) -> dict[str, Any] | None:
    """The detail of the latest event of this kind in `state`, else in the present one."""
    return next(iter(told(tx, record, kind, state, 1)), None)


def told(
    tx: Tx, record: Record, kind: str, state: State | None = None, most: int = _MOST
) -> tuple[dict[str, Any], ...]:
    """The details of events of this kind in `state`, else in the present one; the newest first."""
    of = str(state or record.state)
    event = Event(kind, record.deployment.machine, record.id, state=of)
    return events.alike(tx.connection, event, most)


def news(tx: Tx, record: Record, kind: str, message: str, **detail: Any) -> None:
    """The same as `note`, once: repeats, and more of a kind than a person reads, are left out.

    For what anyone on the network can cause as often as they like.
    """
    event = Event(kind, record.deployment.machine, record.id, state=str(record.state))
    told = events.alike(tx.connection, event, _MOST)
    if len(told) < _MOST and detail not in told:
        note(tx, record, kind, message, **detail)
