"""The store: transactions, and what must happen around each of them."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from ironwake_controller.bell import Bell
from ironwake_controller.epoch import Epoch, EpochFile, is_restored
from ironwake_controller.store import meta
from ironwake_controller.store.database import reading, writing
from ironwake_runtime import clock as clocks
from ironwake_runtime.clock import Clock

_RESTORED = "restored"  # there while an older copy's arms may still stand


class Tx:
    """One writing transaction. `now` is the time of all that is written in it."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self.connection = connection
        self.clock = clock
        self.now = clocks.text(clock.wall())
        self.moment = clocks.now(clock)
        self.steady = self.moment.steady
        self.touched = False
        self.disarmed = False

    def touch(self) -> None:
        """The view changes by this transaction."""
        self.touched = True

    def disarm(self) -> None:
        """Something may not be booted any more: no older copy of the database may say it may."""
        self.disarmed = True
        self.touch()


@dataclass(frozen=True)
class _Shared:
    """A transaction that several pieces of work share, one after the other, in one thread."""

    tx: Tx
    thread: int

    @contextmanager
    def part(self) -> Iterator[Tx]:
        """Undone alone when it raises."""
        whole = self.tx
        tx = Tx(whole.connection, whole.clock)
        # By the driver itself: SQLAlchemy's own nesting costs as much as two statements.
        cursor = whole.connection.connection.cursor()
        cursor.execute("SAVEPOINT part")
        try:
            yield tx
        except BaseException:
            cursor.execute("ROLLBACK TO SAVEPOINT part")
            raise
        finally:
            cursor.execute("RELEASE SAVEPOINT part")
            cursor.close()
        whole.touched |= tx.touched
        whole.disarmed |= tx.disarmed


class Store:
    """`bell` rings after every commit.

    `restored` says that this database is an older copy, and that `voided` was not called yet.
    """

    def __init__(self, engine: Engine, epoch: EpochFile, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        self.bell = Bell()
        self._epoch = epoch
        # One writer at a time in here; SQLite's own queue would be a busy loop.
        self._lock = threading.Lock()
        self._shared: _Shared | None = None
        with writing(engine) as connection:
            self.restored = self._start(connection)
            self.version = meta.version(connection)
            number = meta.epoch(connection)
        epoch.write(number)

    def _start(self, connection: Connection) -> bool:
        fresh = meta.get(connection, "site") is None
        old, outside = meta.epoch(connection), self._epoch.read()
        restored = not fresh and is_restored(old, outside)
        if fresh or restored:
            # Another one after each restoring: where the file was lost, numbers begin anew, and a
            # copy of before may have a greater one.
            meta.put(connection, "site", secrets.token_hex(8))
        if restored:
            # Until all arms are void, in a transaction of their own: a start may end before that.
            meta.put(connection, _RESTORED, "yes")
        beyond = outside.number if outside else 0
        meta.put(connection, "epoch", str(max(old.number, beyond) + 1))
        # A restored copy, noticed as one or not, must not give out versions that were used: by the
        # time of day, and where that went back, by chance.
        seed = int(self.clock.wall().timestamp() * 1000)
        leap = secrets.randbelow(1 << 32)
        meta.put(connection, "version", str(max(meta.version(connection) + 1, seed) + leap))
        return meta.get(connection, _RESTORED) is not None

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """All of it is on disk when the block ends, or none of it is.

        With a disarming, the boot epoch outside the database is on disk, too. Inside of
        `together`, on disk when that ends.
        """
        shared = self._shared
        if shared is not None and shared.thread == threading.get_ident():
            with shared.part() as tx:
                yield tx
        else:
            with self._whole() as tx:
                yield tx

    @contextmanager
    def together(self) -> Iterator[None]:
        """One transaction of all that this thread writes in the block; each part may fail alone."""
        with self._whole() as tx:
            self._shared = _Shared(tx, threading.get_ident())
            try:
                yield
            finally:
                self._shared = None

    @contextmanager
    def _whole(self) -> Iterator[Tx]:
        with self._lock:
            epoch: Epoch | None = None
            version = self.version
            with writing(self.engine) as connection:
                tx = Tx(connection, self.clock)
                yield tx
                if tx.touched:
                    version = meta.version(connection) + 1
                    meta.put(connection, "version", str(version))
                if tx.disarmed:
                    epoch = meta.grow_epoch(connection)
            self.version = version
            try:
                if epoch is not None:
                    self._epoch.write(epoch)
            finally:
                self.bell.ring()  # it is committed, whatever became of the copy outside

    def voided(self, tx: Tx) -> None:
        """With this transaction, nothing of an older copy is armed any more."""
        meta.drop(tx.connection, _RESTORED)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent state."""
        with reading(self.engine) as connection:
            yield connection

    def close(self) -> None:
        """An orderly stop: copies made until now are older than what remains."""
        with self._lock, writing(self.engine) as connection:
            epoch = meta.grow_epoch(connection)
        self._epoch.write(epoch)
        self.engine.dispose()
