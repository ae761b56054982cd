"""The history: only ever added to. Every state is a fold over it: `ironwake_controller.history`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select

from ironwake_controller.store.schema import events
from ironwake_controller.store.store import Tx

_LONGEST = 16_000  # characters of a message: the agent's longest piece of log


@dataclass(frozen=True)
class Event:
    """One line of the history.

    `evidence` is what it moved the deployment by, "" for nothing; `state` the deployment's after
    it. `plan` is the digest of the boot plan where one was given out.
    """

    kind: str
    machine: str = ""
    deployment: str = ""
    evidence: str = ""
    state: str = ""
    message: str = ""
    detail: dict[str, Any] | None = None
    plan: str = ""
    seq: int = 0
    at: str = ""


_ADD = insert(events)  # made once: making it takes longer than carrying it out


def add(tx: Tx, event: Event) -> None:
    tx.connection.execute(
        _ADD,
        {
            "at": tx.now,
            "machine": event.machine,
            "deployment": event.deployment,
            "kind": event.kind,
            "evidence": event.evidence,
            "state": event.state,
            "message": event.message[:_LONGEST],
            "detail": event.detail or {},
            "plan": event.plan[:64],
        },
    )


def after(
    connection: Connection,
    seq: int = 0,
    *,
    deployment: str = "",
    machine: str = "",
    limit: int = 500,
) -> tuple[Event, ...]:
    """Events later than `seq`, oldest first."""
    query = select(events).where(events.c.seq > seq).order_by(events.c.seq).limit(limit)
    if deployment:
        query = query.where(events.c.deployment == deployment)
    if machine:
        query = query.where(events.c.machine == machine)
    return tuple(Event(**row._mapping) for row in connection.execute(query))


def newest(connection: Connection) -> int:
    """The last event's number; 0 for an empty history."""
    return connection.scalar(select(func.max(events.c.seq))) or 0


def alike(connection: Connection, event: Event, limit: int = 50) -> tuple[dict[str, Any], ...]:
    """The details of events of this kind about this machine, deployment and state; the newest."""
    same = {
        "of_deployment": event.deployment,
        "of_machine": event.machine,
        "of_kind": event.kind,
        "of_state": event.state,
        "most": limit,
    }
    return tuple(connection.scalars(_ALIKE, same))


_ALIKE = (
    select(events.c.detail)
    .where(
        (events.c.deployment == bindparam("of_deployment"))
        & (events.c.machine == bindparam("of_machine"))
        & (events.c.kind == bindparam("of_kind"))
        & (events.c.state == bindparam("of_state"))
    )
    .order_by(events.c.seq.desc())
    .limit(bindparam("most"))
)
