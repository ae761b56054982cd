"""Deployments as rows, and back."""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Row,
    Select,
    Text,
    bindparam,
    cast,
    func,
    insert,
    select,
    update,
)

from ironwake import wire
from ironwake.deployment import Claim, Deployment
from ironwake.lifecycle import ENDS, State
from ironwake_controller.store.schema import deployments
from ironwake_controller.store.store import Tx

_ENDED = [str(state) for state in ENDS]


@dataclass(frozen=True)
class Claimed:
    """Who took the answers, and when; `open` until the client's first callback."""

    claim: Claim
    at: str
    monotonic: float
    clock_boot: str
    open: bool


@dataclass(frozen=True)
class Record:
    """A deployment as the store keeps it. `expires_at` is monotonic, of the run `clock_boot`.

    `keys`: the passphrases of its encrypted volumes, sealed (`safe`), "" where there are none.
    """

    number: int
    machine_id: int
    deployment: Deployment
    wake: bool
    created: str
    expires: str
    ended: str
    expires_at: float
    clock_boot: str
    claimed: Claimed | None
    step: str
    percent: float | None
    message: str
    stuck: dict[str, str] | None
    callbacks: int
    reboots: int = 0
    keys: str = ""

    @property
    def id(self) -> str:
        return self.deployment.id

    @property
    def state(self) -> State:
        return self.deployment.state

    @property
    def held(self) -> str:
        return self.deployment.held

    @property
    def ended_already(self) -> bool:
        return self.state in ENDS


# Columns of a deployment's own that are no part of its document: they change.
_OWN = ("state", "token", "health_token", "held", "uuid")


@lru_cache(4096)  # most reports find their deployment as the one before has left it
def _deployment(document: str, *own: str) -> Deployment:
    data: dict[str, Any] = json.loads(document)
    return wire.load(Deployment, data | dict(zip(_OWN, own, strict=True)))


def _record(row: Row[Any]) -> Record:
    claim = row.claim
    return Record(
        number=row.number,
        machine_id=row.machine_id,
        deployment=_deployment(row.document, *(getattr(row, name) for name in _OWN)),
        wake=row.wake,
        created=row.created,
        expires=row.expires,
        ended=row.ended,
        expires_at=row.expires_at,
        clock_boot=row.clock_boot,
        claimed=wire.load(Claimed, claim) if claim else None,
        step=row.step,
        percent=row.percent,
        message=row.message,
        stuck=row.stuck,
        callbacks=row.callbacks,
        reboots=row.reboots,
        keys=row.keys,
    )


# Made once: SQLAlchemy takes several times as long to make a statement as to carry it out.
_WANTED: BindParameter[Any] = bindparam("wanted")
_DOCUMENT = cast(deployments.c.document, Text).label("document")
_ALL = select(*(_DOCUMENT if own.name == "document" else own for own in deployments.c))
_BY_ID = _ALL.where(deployments.c.id == _WANTED)
_BY_TOKEN = _ALL.where(deployments.c.token == _WANTED).with_for_update()
_PEEK = _ALL.where(deployments.c.token == _WANTED)
_BY_HEALTH = _ALL.where(deployments.c.health_token == _WANTED).with_for_update()
_OF_MACHINE = _ALL.where(deployments.c.machine_id == _WANTED)
_LATEST = _OF_MACHINE.order_by(deployments.c.number.desc()).limit(1)
_CHANGE = update(deployments).where(deployments.c.number == bindparam("of_number"))


def _first(connection: Connection, query: Select[Any], wanted: str | int) -> Record | None:
    row = connection.execute(query, {"wanted": wanted}).one_or_none()
    return _record(row) if row is not None else None


def by_id(connection: Connection, name: str) -> Record | None:
    return _first(connection, _BY_ID, name)


def by_token(connection: Connection, token: str) -> Record | None:
    """The deployment whose claim and callbacks this token authorises."""
    found = _first(connection, _BY_TOKEN, token)
    return found if found and _same(found.deployment.token, token) else None


def peek(connection: Connection, token: str) -> Record | None:
    """The same, only to look: nobody who changes it has to wait."""
    found = _first(connection, _PEEK, token)
    return found if found and _same(found.deployment.token, token) else None


def by_health_token(connection: Connection, token: str) -> Record | None:
    found = _first(connection, _BY_HEALTH, token)
    return found if found and _same(found.deployment.health_token, token) else None


def latest(connection: Connection, machine_id: int) -> Record | None:
    return _first(connection, _LATEST, machine_id)


def live_of(connection: Connection, machine_id: int) -> Record | None:
    """The machine's deployment that has not ended, if there is one."""
    found = latest(connection, machine_id)
    return found if found is not None and not found.ended_already else None


# The number of each machine's latest deployment.
_NEWEST = select(func.max(deployments.c.number)).group_by(deployments.c.machine_id)


def latest_of(connection: Connection, only: Sequence[int]) -> dict[int, Record]:
    """The latest deployments of these machines, by the machine's id."""
    newest = _NEWEST.where(deployments.c.machine_id.in_(only))
    rows = connection.execute(_ALL.where(deployments.c.number.in_(newest)))
    return {row.machine_id: _record(row) for row in rows}


def states(connection: Connection) -> dict[int, str]:
    """The state of each machine's latest deployment, by the machine's id."""
    query = select(deployments.c.machine_id, deployments.c.state)
    rows = connection.execute(query.where(deployments.c.number.in_(_NEWEST)))
    return {row.machine_id: row.state for row in rows}


def latest_texts(connection: Connection) -> dict[int, tuple[Any, ...]]:
    """Of each machine's latest deployment, by the machine's id: JSON as text, for `parse`."""
    own = (deployments.c[name] for name in _OWN)
    query = select(deployments.c.machine_id, _DOCUMENT, *own)
    rows = connection.execute(query.where(deployments.c.number.in_(_NEWEST)))
    return {number: tuple(rest) for number, *rest in rows}


def parse(row: tuple[Any, ...]) -> Deployment:
    """What `latest_texts` gave."""
    return _deployment(*row)


def live(connection: Connection) -> Sequence[Record]:
    """All that have not ended, oldest first."""
    query = _ALL.where(deployments.c.state.not_in(_ENDED))
    return [_record(row) for row in connection.execute(query.order_by(deployments.c.number))]


def page(
    connection: Connection, *, machine: str = "", state: str = "", after: int = 0, limit: int = 100
) -> Sequence[Record]:
    """The newest first; `after` is the number of the last one that was seen, 0 for none."""
    query = _ALL.order_by(deployments.c.number.desc()).limit(limit)
    if machine:
        query = query.where(deployments.c.machine == machine)
    if state:
        query = query.where(deployments.c.state == state)
    if after:
        query = query.where(deployments.c.number < after)
    return [_record(row) for row in connection.execute(query)]


def count_by_state(connection: Connection) -> dict[str, int]:
    query = select(deployments.c.state, func.count()).group_by(deployments.c.state)
    return {row[0]: row[1] for row in connection.execute(query)}


def add(tx: Tx, record: Record) -> None:
    document = wire.dump(record.deployment)
    state, held, uuid = document.pop("state"), document.pop("held"), document.pop("uuid")
    token, health_token = document.pop("token"), document.pop("health_token")
    tx.connection.execute(
        insert(deployments).values(
            id=record.id,
            machine_id=record.machine_id,
            machine=record.deployment.machine,
            document=document,
            state=state,
            token=token,
            health_token=health_token,
            held=held,
            uuid=uuid,
            wake=record.wake,
            created=record.created,
            expires=record.expires,
            expires_at=record.expires_at,
            clock_boot=record.clock_boot,
            keys=record.keys,
        )
    )
    tx.touch()


def change(tx: Tx, record: Record, **values: Any) -> None:
    """Put new values into columns of this deployment; `claim` takes a `Claimed`."""
    if "claim" in values:
        values["claim"] = wire.dump(values["claim"])
    tx.connection.execute(_CHANGE, {"of_number": record.number, **values})


def _same(own: str, given: str) -> bool:
    return hmac.compare_digest(own.encode(), given.encode("utf-8", "replace"))
