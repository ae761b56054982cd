"""Leases as the dhcp service tells them: a copy, for people and for names.

Told as dates, they are kept by the monotonic clock, too: a leap of the time of day ends none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select

from ironwake.ipv4 import Address
from ironwake.lease import Lease, in_order
from ironwake.mac import Mac
from ironwake.moment import Moment
from ironwake_controller.store.schema import leases
from ironwake_controller.store.store import Tx
from ironwake_runtime import clock


def every(connection: Connection, now: Moment) -> Sequence[Lease]:
    """All of them by address, also those that ran out."""
    rows = connection.execute(select(leases))
    return sorted((_lease(row, now) for row in rows), key=lambda lease: in_order(lease.address))


def live(connection: Connection, now: Moment) -> Sequence[Lease]:
    """Those of clients that have their address now, the longest known first."""
    query = select(leases).where(leases.c.mac != "")
    rows = connection.execute(query.order_by(leases.c.first_seen, leases.c.address))
    return [lease for lease in (_lease(row, now) for row in rows) if lease.expires > now.wall]


def some(connection: Connection, addresses: Iterable[str], now: Moment) -> dict[str, Lease]:
    """What is known of these addresses."""
    query: Select[Any] = select(leases).where(leases.c.address.in_(list(addresses)))
    return {row.address: _lease(row, now) for row in connection.execute(query)}


def newest(connection: Connection, mac: Mac, now: Moment) -> Lease | None:
    """The lease that this card has, or had last."""
    rows = connection.execute(select(leases).where(leases.c.mac == str(mac)))
    known = [_lease(row, now) for row in rows]
    return max(known, key=lambda lease: lease.expires, default=None)


def put(tx: Tx, items: Sequence[Lease]) -> None:
    """The last word about each of these addresses, as it has just been told."""
    drop(tx, [item.address for item in items])
    if items:
        tx.connection.execute(insert(leases), [_row(item, tx.moment) for item in items])


def drop(tx: Tx, addresses: Iterable[str]) -> None:
    """Forget them."""
    tx.connection.execute(delete(leases).where(leases.c.address.in_(list(addresses))))


def _row(item: Lease, now: Moment) -> dict[str, object]:
    return {
        "address": str(item.address),
        "mac": item.mac,
        "hostname": item.hostname,
        "subnet": item.subnet,
        "expires": item.expires,
        "expires_at": now.steady + (item.expires - now.wall),
        "clock_boot": now.boot,
        "first_seen": clock.text(datetime.fromtimestamp(item.since, UTC)),
    }


def _lease(row: Row[Any], now: Moment) -> Lease:
    """Its end as the time of day is now: by the one when it was told only after a restart."""
    since = datetime.fromisoformat(row.first_seen).timestamp()
    expires = now.date(row.expires_at) if row.clock_boot == now.boot else row.expires
    return Lease(Address(row.address), row.mac, row.subnet, expires, row.hostname, since)
