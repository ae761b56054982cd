"""The lease journal: what was kept is there after a crash, and damage is said, not guessed at."""

from __future__ import annotations

import resource
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from ironwake.errors import BrokenError
from ironwake_dhcp.book import Lease
from ironwake_dhcp.lease_file import LeaseFile

ONE = Lease(IPv4Address("10.77.0.100"), "52:54:00:77:00:10", 1000.5, "phone", 900.0)
AGAIN = Lease(IPv4Address("10.77.0.100"), "52:54:00:77:00:11", 2000.0)
DECLINED = Lease(IPv4Address("10.77.0.101"), "", 3000.0)


def kept(path: Path, *leases: Lease) -> None:
    """Write a journal as the service does."""
    journal = LeaseFile(path)
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
    assert set(LeaseFile(path).load()) == {AGAIN, DECLINED}


def test_no_file_is_no_leases(tmp_path: Path) -> None:
    """The first start finds nothing and is not troubled by that."""
    assert LeaseFile(tmp_path / "leases.jsonl").load() == ()


def test_a_new_journal_replaces_the_old_one_whole(tmp_path: Path) -> None:
    """Starting compacts: one line for each address, and nothing else is left in the folder."""
    path = tmp_path / "leases.jsonl"
    kept(path, *[ONE, AGAIN] * 50)
    journal = LeaseFile(path)
    journal.start(journal.load())
    journal.close()
    assert len(path.read_bytes().splitlines()) == 1
    assert [item.name for item in tmp_path.iterdir()] == ["leases.jsonl"]


def test_a_running_journal_is_made_short(tmp_path: Path) -> None:
    """What is out of date goes while the service runs; what counts stays, before and after."""
    path = tmp_path / "leases.jsonl"
    journal = LeaseFile(path, stale=10)
    journal.start(())
    try:
        for number in range(100):
            journal.append([ONE, DECLINED])
            journal.append([AGAIN])
            assert set(LeaseFile(path).load()) == {AGAIN, DECLINED}, number
        assert len(path.read_bytes().splitlines()) < 20
    finally:
        journal.close()


def test_a_batch_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """Leases that were written together are read together: none of them was answered before."""
    path = tmp_path / "leases.jsonl"
    journal = LeaseFile(path)
    journal.start([ONE])
    start = len(path.read_bytes())
    journal.append([AGAIN, DECLINED])
    journal.close()
    whole = path.read_bytes()
    for size in range(start, len(whole)):
        path.write_bytes(whole[:size])
        assert LeaseFile(path).load() == (ONE,)
        path.write_bytes(whole[:size] + bytes(len(whole) - size))  # the file had grown already
        assert LeaseFile(path).load() == (ONE,)
        path.write_bytes(whole[:size] + bytes(len(whole) - size) + b"\n")
        assert LeaseFile(path).load() == (ONE,)


def test_every_cut_of_the_last_line_is_survived(tmp_path: Path) -> None:
    """A power cut in the middle of a line loses that line, whose ACK never left, and no other."""
    path = tmp_path / "leases.jsonl"
    kept(path, ONE)
    whole = path.read_bytes()
    kept(path, ONE, DECLINED)
    both = path.read_bytes()
    for size in range(len(whole), len(both)):
        path.write_bytes(both[:size])
        assert LeaseFile(path).load() == (ONE,)


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"{}",
        b"[" * 100_000,
        b"[[]]",
        b'{"address": "10.77.0.1", "mac": "", "expires": 1, "hostname": "", "since": 0}',
        b'[{"address": "10.77.0.1", "mac": "", "expires": 1}]',
        b'[{"address": "10.77.0.1", "mac": "x", "expires": 1, "hostname": "", "since": 0}]',
        b'[{"address": "300.1.1.1", "mac": "", "expires": 1, "hostname": "", "since": 0}]',
        b'[{"address": "10.77.0.1", "mac": "", "expires": "soon", "hostname": "", "since": 0}]',
    ],
)
def test_damage_is_named_with_its_line(tmp_path: Path, line: bytes) -> None:
    """A journal that can't be trusted stops the service: a forgotten lease is given twice."""
    path = tmp_path / "leases.jsonl"
    kept(path, ONE)
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(BrokenError, match="damaged in line 2"):
        LeaseFile(path).load()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Where a file stands in the folder's place, the error names the journal."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(BrokenError, match=r"taken/leases\.jsonl"):
        LeaseFile(tmp_path / "taken" / "leases.jsonl").start(())


def test_a_full_disk_is_an_error_and_leaves_no_half_line(tmp_path: Path) -> None:
    """What does not fit raises, so that no ACK leaves; the next lease does not suffer from it."""
    path = tmp_path / "leases.jsonl"
    journal = LeaseFile(path)
    journal.start((ONE,))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        # room for ten more octets: the kernel writes these and then refuses
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
        with pytest.raises(BrokenError, match="cannot be written"):
            journal.append([AGAIN])
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert LeaseFile(path).load() == (ONE,)
        journal.append([DECLINED])
        assert set(LeaseFile(path).load()) == {ONE, DECLINED}
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        journal.close()
