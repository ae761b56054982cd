"""Which reports were counted already, so that a repeated one counts once."""

from __future__ import annotations

from sqlalchemy import delete, func, insert, select

from ironwake_controller.store.schema import receipts
from ironwake_controller.store.store import Tx

OBSERVATIONS = "observation"
_KEPT = 50_000  # observations' ids: hours of a busy site; a repeat comes within seconds


def take(tx: Tx, scope: str, name: str) -> bool:
    """Whether this is the first time; remembered from now on. A report without an id is new."""
    if not name:
        return True
    key = name[:100]
    here = (receipts.c.scope == scope) & (receipts.c.id == key)
    if tx.connection.scalar(select(receipts.c.number).where(here)) is not None:
        return False
    tx.connection.execute(insert(receipts).values(scope=scope, id=key))
    return True


def prune(tx: Tx) -> None:
    """Forget the oldest observations' ids."""
    newest = tx.connection.scalar(select(func.max(receipts.c.number))) or 0
    old = (receipts.c.scope == OBSERVATIONS) & (receipts.c.number <= newest - _KEPT)
    tx.connection.execute(delete(receipts).where(old))
