"""What there is once: the site's id, the boot epoch, the view's version."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, insert, select

from ironwake_controller.epoch import Epoch
from ironwake_controller.store.schema import meta

_GET = select(meta.c.value).where(meta.c.key == bindparam("of_key"))
_DROP = delete(meta).where(meta.c.key == bindparam("of_key"))
_PUT = insert(meta)


def get(connection: Connection, key: str) -> str | None:
    value: str | None = connection.scalar(_GET, {"of_key": key})
    return value


def put(connection: Connection, key: str, value: str) -> None:
    drop(connection, key)
    connection.execute(_PUT, {"key": key, "value": value})


def drop(connection: Connection, key: str) -> None:
    connection.execute(_DROP, {"of_key": key})


def version(connection: Connection) -> int:
    return int(get(connection, "version") or 0)


def epoch(connection: Connection) -> Epoch:
    return Epoch(get(connection, "site") or "", int(get(connection, "epoch") or 0))


def grow_epoch(connection: Connection) -> Epoch:
    """The next epoch, already put."""
    old = epoch(connection)
    put(connection, "epoch", str(old.number + 1))
    return Epoch(old.site, old.number + 1)
