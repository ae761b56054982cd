"""Leases as the dhcp service tells them: a copy, for people and for names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select

from ironwake.ipv4 import Address
from ironwake.lease import Lease, in_order
from ironwake.mac import Mac
from ironwake_controller import clock
from ironwake_controller.store.schema import leases
from ironwake_controller.store.store import Tx


def every(connection: Connection) -> Sequence[Lease]:
    """All of them by address, also those that ran out."""
    rows = connection.execute(select(leases))
    return sorted(map(_lease, rows), key=lambda lease: in_order(lease.address))


def live(connection: Connection, now: float) -> Sequence[Lease]:
    """Those of clients that have their address now, the longest known first."""
    query = select(leases).where(leases.c.expires > now, leases.c.mac != "")
    rows = connection.execute(query.order_by(leases.c.first_seen, leases.c.address))
    return [_lease(row) for row in rows]


def some(connection: Connection, addresses: Iterable[str]) -> dict[str, Lease]:
    """What is known of these addresses."""
    query: Select[Any] = select(leases).where(leases.c.address.in_(list(addresses)))
    return {row.address: _lease(row) for row in connection.execute(query)}


def newest(connection: Connection, mac: Mac) -> Lease | None:
    """The lease that this card has, or had last."""
    query = select(leases).where(leases.c.mac == str(mac)).order_by(leases.c.expires.desc())
    row = connection.execute(query.limit(1)).first()
    return _lease(row) if row is not None else None


def put(tx: Tx, items: Sequence[Lease]) -> None:
    """The last word about each of these addresses."""
    drop(tx, [item.address for item in items])
    if items:
        tx.connection.execute(insert(leases), [_row(item) for item in items])


def drop(tx: Tx, addresses: Iterable[str]) -> None:
    """Forget them."""
    tx.connection.execute(delete(leases).where(leases.c.address.in_(list(addresses))))


def _row(item: Lease) -> dict[str, object]:
    return {
        "address": str(item.address),
        "mac": item.mac,
        "hostname": item.hostname,
        "subnet": item.subnet,
        "expires": item.expires,
        "first_seen": clock.text(datetime.fromtimestamp(item.since, UTC)),
    }


def _lease(row: Row[Any]) -> Lease:
    since = datetime.fromisoformat(row.first_seen).timestamp()
    return Lease(Address(row.address), row.mac, row.subnet, row.expires, row.hostname, since)
