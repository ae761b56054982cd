"""Where machines were seen: card → IPv4 address, each address at one card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, select

from ironwake.mac import Mac
from ironwake_controller.store.schema import addresses, macs
from ironwake_controller.store.store import Tx

# Made once: SQLAlchemy takes several times as long to make a statement as to carry it out.
_WANTED: BindParameter[Any] = bindparam("wanted")
_OF_CARD = select(addresses.c.address).where(addresses.c.mac == _WANTED)
_CARD = select(addresses.c.mac).where(addresses.c.address == _WANTED)
_MACHINE = (
    select(macs.c.machine_id)
    .join(addresses, addresses.c.mac == macs.c.mac)
    .where(addresses.c.address == _WANTED)
)


def learn(tx: Tx, mac: Mac, address: str) -> bool:
    """Remember it; whether it is news. Whoever had the address before has it no more."""
    known = tx.connection.scalar(_OF_CARD, {"wanted": str(mac)})
    if known == address:
        return False
    stale = (addresses.c.mac == mac) | (addresses.c.address == address)
    tx.connection.execute(delete(addresses).where(stale))
    tx.connection.execute(insert(addresses).values(mac=str(mac), address=address, at=tx.now))
    tx.touch()
    return True


def vacate(tx: Tx, address: str) -> None:
    """Nobody that is known has this address any more."""
    gone = tx.connection.execute(delete(addresses).where(addresses.c.address == address))
    if gone.rowcount:
        tx.touch()


def machine_at(connection: Connection, address: str) -> int | None:
    """The id of the machine that has this address."""
    found: int | None = connection.scalar(_MACHINE, {"wanted": address})
    return found


def card_at(connection: Connection, address: str) -> Mac | None:
    """The enrolled machine's card that has this address."""
    found: str | None = connection.scalar(_CARD, {"wanted": address})
    return Mac(found) if found else None


def by_machine(connection: Connection, only: Sequence[int] | None = None) -> dict[int, str]:
    """Each machine's newest address; `only` those of these ids, where some are given."""
    query = select(macs.c.machine_id, addresses.c.address).join(
        addresses, addresses.c.mac == macs.c.mac
    )
    if only is not None:
        query = query.where(macs.c.machine_id.in_(only))
    return {
        row.machine_id: row.address for row in connection.execute(query.order_by(addresses.c.at))
    }
