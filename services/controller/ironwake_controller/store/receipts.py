"""Which reports were counted already, so that a repeated one counts once."""

from __future__ import annotations

from sqlalchemy import delete, func, select, text

from ironwake_controller.store.schema import receipts
from ironwake_controller.store.store import Tx

OBSERVATIONS = "observation"
# In these words SQLite and PostgreSQL are of one mind. Made once: SQLAlchemy takes several times as
# long to make a statement as the database to carry it out.
_TAKE = text("INSERT INTO receipts (scope, id) VALUES (:scope, :id) ON CONFLICT DO NOTHING")
_KEPT = 50_000  # observations' ids: hours of a busy site; a repeat comes within seconds


def take(tx: Tx, scope: str, name: str) -> bool:
    """Whether this is the first time; remembered from now on. A report without an id is new."""
    if not name:
        return True
    taken = tx.connection.execute(_TAKE, {"scope": scope, "id": name[:100]})
    return taken.rowcount == 1


def prune(tx: Tx) -> None:
    """Forget the oldest observations' ids."""
    newest = tx.connection.scalar(select(func.max(receipts.c.number))) or 0
    old = (receipts.c.scope == OBSERVATIONS) & (receipts.c.number <= newest - _KEPT)
    tx.connection.execute(delete(receipts).where(old))
