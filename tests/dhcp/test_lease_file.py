"""The lease journal: what was kept is there after a crash, and damage is said, not guessed at."""

from __future__ import annotations

import resource
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from ironwake.errors import BrokenError
from ironwake.moment import Moment
from ironwake_dhcp.book import Lease
from ironwake_dhcp.lease_file import LeaseFile
from tests.dhcp.keeper import now

ONE = Lease(IPv4Address("10.77.0.100"), "52:54:00:77:00:10", 1000.5, "phone", 900.0)
AGAIN = Lease(IPv4Address("10.77.0.100"), "52:54:00:77:00:11", 2000.0)
AT = '{"at": ["run-1", 5000.0, 1.8e9], "leases": '
DECLINED = Lease(IPv4Address("10.77.0.101"), "", 3000.0)


def kept(path: Path, *leases: Lease) -> None:
    """Write a journal as the service does."""
    journal = LeaseFile(path, now)
    journal.start(())
    try:
        for lease in leases:
            journal.append([lease])
    finally:
        journal.close()


def test_the_last_word_about_an_address_counts(tmp_path: Path) -> None:
    """What `keep` took is read back, the newest line of each address."""
    path = tmp_path / "deep" / "leases.jsonl"
    kept(path, ONE, DECLINED, AGAIN)
    assert set(LeaseFile(path, now).load()) == {AGAIN, DECLINED}


def test_no_file_is_no_leases(tmp_path: Path) -> None:
    """The first start finds nothing and is not troubled by that."""
    assert LeaseFile(tmp_path / "leases.jsonl", now).load() == ()


def test_a_new_journal_replaces_the_old_one_whole(tmp_path: Path) -> None:
    """Starting compacts: one line for each address, and nothing else is left in the folder."""
    path = tmp_path / "leases.jsonl"
    kept(path, *[ONE, AGAIN] * 50)
    journal = LeaseFile(path, now)
    journal.start(journal.load())
    journal.close()
    assert len(path.read_bytes().splitlines()) == 1
    assert [item.name for item in tmp_path.iterdir()] == ["leases.jsonl"]


def test_a_running_journal_is_made_short(tmp_path: Path) -> None:
    """What is out of date goes while the service runs; what counts stays, before and after."""
    path = tmp_path / "leases.jsonl"
    journal = LeaseFile(path, now, stale=10)
    journal.start(())
    try:
        for number in range(100):
            journal.append([ONE, DECLINED])
            journal.append([AGAIN])
            assert set(LeaseFile(path, now).load()) == {AGAIN, DECLINED}, number
        assert len(path.read_bytes().splitlines()) < 20
    finally:
        journal.close()


def test_a_batch_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """Leases that were written together are read together: none of them was answered before."""
    path = tmp_path / "leases.jsonl"
    journal = LeaseFile(path, now)
    journal.start([ONE])
    start = len(path.read_bytes())
    journal.append([AGAIN, DECLINED])
    journal.close()
    whole = path.read_bytes()
    for size in range(start, len(whole)):
        path.write_bytes(whole[:size])
        assert LeaseFile(path, now).load() == (ONE,)
        path.write_bytes(whole[:size] + bytes(len(whole) - size))  # the file had grown already
        assert LeaseFile(path, now).load() == (ONE,)
        path.write_bytes(whole[:size] + bytes(len(whole) - size) + b"\n")
        assert LeaseFile(path, now).load() == (ONE,)


def test_every_cut_of_the_last_line_is_survived(tmp_path: Path) -> None:
    """A power cut in the middle of a line loses that line, whose ACK never left, and no other."""
    path = tmp_path / "leases.jsonl"
    kept(path, ONE)
    whole = path.read_bytes()
    kept(path, ONE, DECLINED)
    both = path.read_bytes()
    for size in range(len(whole), len(both)):
        path.write_bytes(both[:size])
        assert LeaseFile(path, now).load() == (ONE,)


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "{}",
        "[" * 100_000,
        "[[]]",
        '{"address": "10.77.0.1", "mac": "", "expires": 1, "hostname": "", "since": 0}',
        AT + '[{"address": "10.77.0.1", "mac": "", "expires": 1}]}',
        AT + '[{"address": "10.77.0.1", "mac": "x", "expires": 1, "hostname": "", "since": 0}]}',
        AT + '[{"address": "300.1.1.1", "mac": "", "expires": 1, "hostname": "", "since": 0}]}',
        AT + '[{"address": "10.77.0.1", "mac": "", "expires": "x", "hostname": "", "since": 0}]}',
        '{"at": ["run-1", 5000.0], "leases": []}',
        '{"leases": []}',
    ],
)
def test_damage_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    """A journal that can't be trusted stops the service: a forgotten lease is given twice."""
    path = tmp_path / "leases.jsonl"
    kept(path, ONE)
    path.write_bytes(path.read_bytes() + f"{line}\n".encode())
    with pytest.raises(BrokenError, match="damaged in line 3"):
        LeaseFile(path, now).load()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Where a file stands in the folder's place, the error names the journal."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(BrokenError, match=r"taken/leases\.jsonl"):
        LeaseFile(tmp_path / "taken" / "leases.jsonl", now).start(())


def test_a_full_disk_is_an_error_and_leaves_no_half_line(tmp_path: Path) -> None:
    """What does not fit raises, so that no ACK leaves; the next lease does not suffer from it."""
    path = tmp_path / "leases.jsonl"
    journal = LeaseFile(path, now)
    journal.start((ONE,))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        # room for ten more octets: the kernel writes these and then refuses
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
        with pytest.raises(BrokenError, match="cannot be written"):
            journal.append([AGAIN])
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert LeaseFile(path, now).load() == (ONE,)
        journal.append([DECLINED])
        assert set(LeaseFile(path, now).load()) == {ONE, DECLINED}
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        journal.close()


YEAR = 365 * 86_400.0


def restarted(path: Path, now: Moment) -> float:
    """Seconds that the first address' lease has left for a service that starts now."""
    (lease,) = LeaseFile(path, lambda: now).load()
    return lease.expires - now.steady


@pytest.mark.parametrize("leap", [YEAR, -YEAR])
def test_a_leap_while_the_service_is_away_ends_no_lease(tmp_path: Path, leap: float) -> None:
    """In the same run of the kernel, what is left is told by the clock that does not leap."""
    path = tmp_path / "leases.jsonl"
    began = now()
    kept(path, replace(ONE, expires=began.steady + 3600))
    later = Moment(began.boot, began.steady + 600, began.wall + 600 + leap)
    assert restarted(path, later) == 3000


@pytest.mark.parametrize(
    ("leap", "left"), [(0.0, 3000.0), (YEAR, 3000.0 - YEAR), (-YEAR, 3600.0)], ids=str
)
def test_after_the_host_restarted_the_time_of_day_tells(
    tmp_path: Path, leap: float, left: float
) -> None:
    """There is nothing else to go by; no lease has more time left than when it was written."""
    path = tmp_path / "leases.jsonl"
    began = now()
    kept(path, replace(ONE, expires=began.steady + 3600))
    assert restarted(path, Moment("run-2", 7.0, began.wall + 600 + leap)) == pytest.approx(left)


def test_a_clock_that_was_set_right_dates_what_was_written_before(tmp_path: Path) -> None:
    """A host without a clock of its own starts in 1970: leases of then outlive its next start."""
    path = tmp_path / "leases.jsonl"
    clock = [Moment("run-1", 20.0, 20.0)]
    file = LeaseFile(path, lambda: clock[-1])
    file.start([replace(ONE, expires=3620.0)])
    clock.append(Moment("run-1", 80.0, 1.8e9))
    file.append([replace(DECLINED, expires=680.0)])
    file.close()
    after = Moment("run-2", 7.0, 1.8e9 + 120)
    left = {one.mac: one.expires - after.steady for one in LeaseFile(path, lambda: after).load()}
    assert left == {ONE.mac: pytest.approx(3420.0), "": pytest.approx(480.0)}
