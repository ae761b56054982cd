"""Open the database: pragmas, transactions that begin as writers, migrations."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ironwake.errors import BrokenError, InputError, RefusedError

_MIGRATIONS = Path(__file__).parents[1] / "migrations"
_BUSY = 10_000  # milliseconds to wait for another process's transaction: a backup, a person's shell
_SETTING = "IRONWAKE_DATABASE_URL"


def place(url: str) -> Path | None:
    """The file of a SQLite database; None for another kind."""
    parsed = _parse(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise InputError("a database in memory forgets all", "name a file", _SETTING)
    return Path(parsed.database)


def open_engine(url: str) -> Engine:
    """An engine whose schema is current.

    :raises RefusedError: the database was written by a newer version
    :raises BrokenError: it cannot be opened
    """
    parsed = _parse(url)
    file = place(url)
    if file is not None:
        _create(file)
    engine = create_engine(parsed)
    if file is not None:
        event.listen(engine, "connect", _configure)
    try:
        with writing(engine) as connection:
            _migrate(connection)
    except SQLAlchemyError as error:
        engine.dispose()
        raise BrokenError(
            f"the database cannot be opened: {error.__cause__ or error}",
            "see that it is a database of Ironwake, whole and writable",
            _SETTING if file is None else str(file),
        ) from error
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state."""
    with engine.begin() as connection:
        _begin(connection, "BEGIN")
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is a writer from its first statement on."""
    with engine.begin() as connection:
        # A reader that becomes a writer fails at once when another one wrote in between.
        _begin(connection, "BEGIN IMMEDIATE")
        yield connection


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        raise InputError(
            "this is not a database URL", "write it as in sqlite:////folder/file.sqlite", _SETTING
        ) from None


def _create(file: Path) -> None:
    """Make the file for this user alone: tokens stand in it. SQLite's other files take its mode."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise BrokenError(
            f"the database cannot be opened: {error.strerror}",
            "see that the folder exists and that this user may write there",
            str(file),
        ) from error


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    # The driver would begin transactions by itself, later than we want, and as a reader.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={_BUSY}",
        "journal_mode=WAL",
        "synchronous=FULL",  # a power cut loses nothing that was acknowledged
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection, words: str) -> None:
    # Said here, not by a listener on the engine: with one of those, SQLAlchemy asks before and
    # after every statement whether somebody listens: 3 of the 12 µs that it takes for one.
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(words)


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    present = set(MigrationContext.configure(connection).get_current_heads())
    unknown = present - known
    if unknown:
        raise RefusedError(
            f"the database is of a newer version (schema {', '.join(sorted(unknown))})",
            "run the version that wrote it, or restore the backup made before the upgrade",
            str(connection.engine.url.database),
        )
    command.upgrade(config, "head")
