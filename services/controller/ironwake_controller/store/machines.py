"""Machines as rows, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    Select,
    Text,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from ironwake import wire
from ironwake.disk import Disk
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.memory import Memory
from ironwake_controller.store.schema import addresses, machines, macs
from ironwake_controller.store.store import Tx


@dataclass(frozen=True)
class Enrolled:
    """A machine as the store keeps it; `firmware` and `last_seen` are "" until it was seen."""

    id: int
    machine: Machine
    firmware: str
    last_seen: str
    facts: dict[str, str]
    memory: Memory


def _enrolled(row: Row[Any]) -> Enrolled:
    machine, memory = parse(row.document, row.memory)
    return Enrolled(row.id, machine, row.firmware, row.last_seen, dict(row.facts), memory)


# Made once: SQLAlchemy takes several times as long to make a statement as to carry it out.
_WANTED: BindParameter[Any] = bindparam("wanted")
_DOCUMENT = cast(machines.c.document, Text).label("document")
_MEMORY = cast(machines.c.memory, Text).label("memory")
_SEEN = (machines.c.firmware, machines.c.last_seen, machines.c.facts)
_ALL = select(machines.c.id, _DOCUMENT, _MEMORY, *_SEEN)
_BY_NAME = _ALL.where(machines.c.name == _WANTED)
_BY_ID = _ALL.where(machines.c.id == _WANTED)
_WITH_CARDS = _ALL.join(macs, macs.c.machine_id == machines.c.id)
_BY_MAC = _WITH_CARDS.where(macs.c.mac == _WANTED)
_CHANGE = update(machines).where(machines.c.id == bindparam("of_id"))


def _one(connection: Connection, query: Select[Any], wanted: str | int) -> Enrolled | None:
    row = connection.execute(query, {"wanted": wanted}).one_or_none()
    return _enrolled(row) if row is not None else None


def by_name(connection: Connection, name: str) -> Enrolled | None:
    return _one(connection, _BY_NAME, name)


def by_id(connection: Connection, number: int) -> Enrolled | None:
    return _one(connection, _BY_ID, number)


def by_mac(connection: Connection, mac: Mac) -> Enrolled | None:
    return _one(connection, _BY_MAC, str(mac))


def count(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(machines)) or 0


def every(connection: Connection) -> Sequence[Enrolled]:
    rows = connection.execute(_ALL.order_by(machines.c.name))
    return [_enrolled(row) for row in rows]


def listed(connection: Connection, after: str, *, labels: bool) -> Iterator[Row[Any]]:
    """Id, name and labels of all machines behind this name, by name; `labels` as in `labels_in`.

    As little as a listing must see of each of thousands; without `labels`, those are "".
    """
    text: ColumnElement[str] = _DOCUMENT if labels else literal("")
    query = select(machines.c.id, machines.c.name, text.label("labels"))
    return iter(connection.execute(query.where(machines.c.name > after).order_by(machines.c.name)))


def labels_in(document: str) -> dict[str, str]:
    """The labels of a machine's document, as text or ""."""
    found: dict[str, str] = json.loads(document)["labels"] if document else {}
    return found


def some(connection: Connection, only: Sequence[int]) -> Sequence[Enrolled]:
    """Those of these ids, by name."""
    query = _ALL.where(machines.c.id.in_(only)).order_by(machines.c.name)
    return [_enrolled(row) for row in connection.execute(query)]


def texts(connection: Connection) -> Sequence[tuple[Any, ...]]:
    """Id, name, document and memory of every machine by name: JSON as text, for `parse`."""
    query = select(machines.c.id, machines.c.name, _DOCUMENT, _MEMORY)
    return [tuple(row) for row in connection.execute(query.order_by(machines.c.name))]


@lru_cache(8192)  # a machine is read a hundred times as often as it changes
def parse(document: str, memory: str) -> tuple[Machine, Memory]:
    """What `texts` gave."""
    return wire.decode(Machine, document), wire.decode(Memory, memory)


def add(tx: Tx, machine: Machine) -> None:
    values = {"name": str(machine.name), "document": wire.dump(machine), "facts": {}}
    result = tx.connection.execute(insert(machines).values(**values))
    (number,) = result.inserted_primary_key or (0,)
    _put_macs(tx, number, machine.macs)
    tx.touch()


def replace(tx: Tx, number: int, machine: Machine) -> None:
    """Give the machine of this id another content; its name stays."""
    tx.connection.execute(
        update(machines).where(machines.c.id == number).values(document=wire.dump(machine))
    )
    _drop_macs(tx, number, keep=machine.macs)
    _put_macs(tx, number, machine.macs)
    tx.touch()


def remove(tx: Tx, number: int) -> None:
    _drop_macs(tx, number, keep=())
    tx.connection.execute(delete(machines).where(machines.c.id == number))
    tx.disarm()


def saw(tx: Tx, number: int, firmware: str = "") -> None:
    """It was seen just now, with this firmware if that could be told."""
    values = {"last_seen": tx.now} | ({"firmware": firmware} if firmware else {})
    tx.connection.execute(_CHANGE, {"of_id": number, **values})


def remember(tx: Tx, there: Enrolled, memory: Memory) -> None:
    """Keep what was learned of it, if that is news."""
    if memory == there.memory:
        return
    row = machines.c.id == there.id
    tx.connection.execute(update(machines).where(row).values(memory=wire.dump(memory)))
    tx.touch()


def set_facts(tx: Tx, number: int, facts: dict[str, str], disks: tuple[Disk, ...]) -> None:
    values = {"facts": facts, "disks": wire.dump(disks)}
    tx.connection.execute(update(machines).where(machines.c.id == number).values(**values))


def disks(connection: Connection, number: int) -> tuple[Disk, ...]:
    """Its disks, as its agent saw them last; none before."""
    found = connection.scalar(select(machines.c.disks).where(machines.c.id == number))
    return tuple(wire.load(Disk, one) for one in found or ())


def power(connection: Connection, number: int) -> dict[str, Any] | None:
    """Its power driver and settings, secrets sealed; None where none were given."""
    found: dict[str, Any] | None = connection.scalar(
        select(machines.c.power).where(machines.c.id == number)
    )
    return found


def set_power(tx: Tx, number: int, row: dict[str, Any] | None) -> None:
    """No part of the view: the data plane has no business with it."""
    tx.connection.execute(update(machines).where(machines.c.id == number).values(power=row))


def _put_macs(tx: Tx, number: int, own: Sequence[Mac]) -> None:
    tx.connection.execute(delete(macs).where(macs.c.machine_id == number))
    rows = [{"mac": str(mac), "machine_id": number} for mac in own]
    tx.connection.execute(insert(macs), rows)


def _drop_macs(tx: Tx, number: int, keep: Sequence[Mac]) -> None:
    """An address that was learned belongs to the card, not to whoever gets the card next."""
    mine = select(macs.c.mac).where(macs.c.machine_id == number)
    gone = addresses.c.mac.in_(mine) & addresses.c.mac.not_in([str(mac) for mac in keep])
    tx.connection.execute(delete(addresses).where(gone))
    tx.connection.execute(delete(macs).where(macs.c.machine_id == number))
