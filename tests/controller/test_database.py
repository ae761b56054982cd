"""What is on disk: migrations, one writer, copies that were restored."""

from __future__ import annotations

import os
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from ironwake.errors import BrokenError, InputError, RefusedError
from ironwake.report import Callback, Stage
from ironwake_controller import epoch
from ironwake_controller.epoch import Epoch, EpochFile, is_restored
from ironwake_controller.store import database
from ironwake_controller.store.lock import WriterLock
from ironwake_controller.store.schema import metadata
from ironwake_controller.store.store import Store
from tests.controller.appliance import Appliance, FakeClock, Opened


def _url(folder: Path) -> str:
    return f"sqlite:///{folder / 'ironwake.sqlite'}"


def test_migrations_lead_to_the_schema(tmp_path: Path) -> None:
    """From an empty file on, the steps end exactly where the tables of the code are."""
    engine = database.open_engine(_url(tmp_path))
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
    finally:
        engine.dispose()


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    """A second start finds everything done."""
    for _ in range(2):
        database.open_engine(_url(tmp_path)).dispose()


def test_acknowledged_means_on_disk(tmp_path: Path) -> None:
    """Every connection syncs fully, in WAL mode, and the file is for this user alone."""
    engine = database.open_engine(_url(tmp_path))
    try:
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    finally:
        engine.dispose()
    assert (tmp_path / "ironwake.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    """What a later version wrote is left alone, and the message says what to do."""
    database.open_engine(_url(tmp_path)).dispose()
    with sqlite3.connect(tmp_path / "ironwake.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(RefusedError, match="newer version") as caught:
        database.open_engine(_url(tmp_path))
    assert "9999" in caught.value.what
    assert caught.value.next_step


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """Rubbish in its place is our fault's kind of error, with the file's name."""
    (tmp_path / "ironwake.sqlite").write_bytes(b"rubbish" * 1000)
    with pytest.raises(BrokenError) as caught:
        database.open_engine(_url(tmp_path))
    assert "ironwake.sqlite" in caught.value.where


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:"])
def test_wrong_database_urls_are_refused(url: str) -> None:
    """A URL that names no lasting database is a wrong setting."""
    with pytest.raises(InputError):
        database.place(url)


def test_one_writer_only(tmp_path: Path) -> None:
    """A second controller on the same database is refused by the first one's pid."""
    path = tmp_path / "lock"
    lock = WriterLock(path)
    with pytest.raises(RefusedError, match=str(os.getpid())):
        WriterLock(path)
    lock.close()
    WriterLock(path).close()


def _copy(folder: Path, aside: Path) -> None:
    """A consistent copy, as a backup makes it."""
    source = sqlite3.connect(folder / "ironwake.sqlite")
    target = sqlite3.connect(aside)
    source.backup(target)
    target.close()
    source.close()


def _restore(folder: Path, aside: Path) -> None:
    for suffix in ("-wal", "-shm"):
        (folder / f"ironwake.sqlite{suffix}").unlink(missing_ok=True)
    shutil.copy(aside, folder / "ironwake.sqlite")


def _consume(appliance: Appliance) -> None:
    assert appliance.claim(appliance.tokens()[0]).status_code == 200


def _cancel(appliance: Appliance) -> None:
    (live,) = appliance.good("GET", "/v1/deployments")["items"]
    appliance.good("POST", f"/v1/deployments/{live['id']}/cancel")


def _lock(appliance: Appliance) -> None:
    appliance.good("POST", "/v1/machines/node1/lock")


def _nothing(appliance: Appliance) -> None:
    """Only the orderly stop tells the copy from what was running."""
    appliance.close()


@pytest.mark.parametrize("meanwhile", [_consume, _cancel, _lock, _nothing])
def test_a_restored_backup_arms_nothing(opened: Opened, tmp_path: Path, meanwhile: object) -> None:
    """A copy made while armed boots nobody, whatever became of the arm, crash or not."""
    first = opened(tmp_path)
    first.enrol()
    first.deploy()
    token, _ = first.tokens()
    _copy(tmp_path, tmp_path / "backup")
    assert callable(meanwhile)
    meanwhile(first)
    version = first.house.store.version
    first.die()
    _restore(tmp_path, tmp_path / "backup")
    second = opened(tmp_path)
    assert second.state() == "expired"
    assert second.claim(token).status_code == 410
    assert second.power.woken == []
    assert second.view().version > version
    assert second.deploy()["state"] == "armed"


def test_a_start_that_ends_early_leaves_no_restored_arm(opened: Opened, tmp_path: Path) -> None:
    """The copy is noticed again: what is armed in it is void before anything is served."""
    first = opened(tmp_path)
    first.enrol()
    first.deploy()
    token, _ = first.tokens()
    _copy(tmp_path, tmp_path / "backup")
    _consume(first)
    first.die()
    _restore(tmp_path, tmp_path / "backup")
    settings = first.settings
    outside = EpochFile(epoch.place(settings.epoch, settings.state_dir))
    half = Store(database.open_engine(settings.database), outside, first.clock)
    assert half.restored
    half.engine.dispose()  # killed before its arms were void
    second = opened(tmp_path)
    assert second.state() == "expired"
    assert second.claim(token).status_code == 410
    second.close()
    assert opened(tmp_path).house.store.restored is False


@pytest.mark.parametrize("meanwhile", [_consume, _cancel, _lock, _nothing])
def test_a_restored_state_folder_arms_nothing(
    opened: Opened, tmp_path: Path, meanwhile: object
) -> None:
    """The whole folder put back as it was while armed: the number outside of it tells."""
    state, aside = tmp_path / "state", tmp_path / "backup"
    first = opened(state)
    first.enrol()
    first.deploy()
    token, _ = first.tokens()
    shutil.copytree(state, aside)
    assert callable(meanwhile)
    meanwhile(first)
    first.die()
    shutil.rmtree(state)
    shutil.copytree(aside, state)
    second = opened(state)
    assert second.state() == "expired"
    assert second.claim(token).status_code == 410
    assert second.power.woken == []


def test_a_restored_backup_gives_no_version_twice(opened: Opened, tmp_path: Path) -> None:
    """Not even where the clock went back: a service would take its older view for the newest."""
    versions = []
    first = opened(tmp_path)
    first.enrol()
    _copy(tmp_path, tmp_path / "backup")
    first.enrol("node2", "52:54:00:77:00:22")  # arms nothing: the copy cannot be told from ours
    versions.append(first.view().version)
    first.die()
    for _ in range(3):
        _restore(tmp_path, tmp_path / "backup")
        one = opened(tmp_path, FakeClock(day=datetime(2001, 1, 1, tzinfo=UTC)))
        versions.append(one.view().version)
        one.good("POST", "/v1/machines/node1/lock")
        versions.append(one.view().version)
        one.die()
    assert len(set(versions)) == len(versions)


def test_a_restored_backup_hands_nothing_out_again(opened: Opened, tmp_path: Path) -> None:
    """Answers that were taken may be repeated until the first callback; a copy has not heard it."""
    first = opened(tmp_path)
    first.enrol()
    first.deploy()
    token, _ = first.tokens()
    _consume(first)
    _copy(tmp_path, tmp_path / "backup")
    assert first.report(token, Callback(Stage.INSTALLING, "1")).status_code == 204
    assert first.claim(token).status_code == 410
    first.die()
    _restore(tmp_path, tmp_path / "backup")
    assert opened(tmp_path).claim(token).status_code == 410


def test_a_restored_backup_holds_back_what_was_held(opened: Opened, tmp_path: Path) -> None:
    """A copy from before the alarm does not boot the machine that the alarm was about."""
    first = opened(tmp_path)
    first.enrol(serial="S1")
    first.deploy()
    token, _ = first.tokens()
    _copy(tmp_path, tmp_path / "backup")
    facts = Callback(Stage.FACTS, "1", facts={"serial": "S2"})
    assert first.report(token, facts).status_code == 204
    assert first.claim(token).status_code == 409
    first.die()
    _restore(tmp_path, tmp_path / "backup")
    assert opened(tmp_path).claim(token).status_code == 410


def test_an_arm_survives_a_crash(opened: Opened, tmp_path: Path) -> None:
    """Without any restoring, a crash voids nothing: the machine in mid-boot goes on."""
    first = opened(tmp_path)
    first.enrol()
    first.deploy()
    token, _ = first.tokens()
    first.die()
    second = opened(tmp_path)
    assert second.claim(token).status_code == 200
    second.die()
    third = opened(tmp_path)
    assert third.claim(token).status_code == 200
    assert third.report(token, Callback(Stage.INSTALLING, "1")).status_code == 204


def test_a_lost_epoch_file_arms_nothing(opened: Opened, tmp_path: Path) -> None:
    """A database without the number beside it may be anybody's copy."""
    first = opened(tmp_path)
    first.enrol()
    first.deploy()
    first.die()
    (first.settings.epoch / "boot-epoch").unlink()
    assert opened(tmp_path).state() == "expired"


def test_no_copy_of_before_the_epoch_was_lost_arms(opened: Opened, tmp_path: Path) -> None:
    """After an older copy without its number, a younger copy has the greater one, and is a copy."""
    first = opened(tmp_path)
    first.enrol()
    _copy(tmp_path, tmp_path / "older")
    for _ in range(3):  # numbers grow
        first.good("POST", "/v1/machines/node1/lock")
        first.good("POST", "/v1/machines/node1/unlock")
    first.deploy()
    token, _ = first.tokens()
    _copy(tmp_path, tmp_path / "younger")
    first.die()
    (first.settings.epoch / "boot-epoch").unlink()
    for copy in ("older", "younger"):
        _restore(tmp_path, tmp_path / copy)
        last = opened(tmp_path)
        last.die()
    assert opened(tmp_path).claim(token).status_code == 410


@pytest.mark.parametrize("folder", [".", "epoch", "other/../epoch"])
def test_the_epoch_stays_outside_of_the_state(opened: Opened, tmp_path: Path, folder: str) -> None:
    """A setting that would have it restored together with the state is refused by its name."""
    with pytest.raises(InputError) as caught:
        opened(tmp_path, epoch_dir=tmp_path / folder)
    assert caught.value.where == "IRONWAKE_EPOCH_DIR"


@pytest.mark.parametrize(
    ("outside", "restored"),
    [
        (None, True),
        (Epoch("other", 5), True),
        (Epoch("here", 6), True),
        (Epoch("here", 5), False),
        (Epoch("here", 4), False),
    ],
)
def test_which_database_is_an_older_copy(outside: Epoch | None, restored: bool) -> None:
    """One whose number is below the file's; one ahead has only crashed before the file."""
    assert is_restored(Epoch("here", 5), outside) is restored


@pytest.mark.parametrize("text", ["", "{", "[]", '{"site": "a"}', '{"site": "a", "epoch": "x"}'])
def test_a_damaged_epoch_file_tells_nothing(tmp_path: Path, text: str) -> None:
    """What cannot be read is treated as not there, which arms nothing."""
    path = tmp_path / "boot-epoch"
    path.write_text(text)
    assert EpochFile(path).read() is None


def test_versions_grow_across_restarts(opened: Opened, tmp_path: Path) -> None:
    """Whoever has a view knows whether another one is newer, whichever process made it."""
    versions = []
    for number in range(3):
        one = opened(tmp_path)
        versions.append(one.view().version)
        one.enrol(f"node{number}", f"52:54:00:77:00:1{number}")
        versions.append(one.view().version)
        one.die()
    assert versions == sorted(set(versions))
