"""Group commit: no lease is answered for before it is on the disk, and the loop waits little."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import threading
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

from ironwake.errors import BrokenError
from ironwake_dhcp.book import Lease
from ironwake_dhcp.journal import Journal
from ironwake_dhcp.lease_file import LeaseFile
from tests.dhcp import keeper

KILLS = 12


def lease(number: int) -> Lease:
    return Lease(IPv4Address(f"10.77.0.{number}"), "52:54:00:77:00:10", 1000.0)


class SlowFile:
    """A disk that a test holds: every write waits until it is let go."""

    def __init__(self, error: BrokenError | None = None) -> None:
        self.batches: list[list[Lease]] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.error = error

    def append(self, leases: list[Lease]) -> None:
        self.begun.release()
        self.go.acquire()
        if self.error is not None:
            raise self.error
        self.batches.append(leases)

    def close(self) -> None:
        """Nothing to close."""


def test_what_comes_during_a_write_shares_the_next() -> None:
    """Many leases, two writes: the slower the disk, the larger the groups."""
    disk = SlowFile()
    journal = Journal(disk)  # type: ignore[arg-type]
    done: list[tuple[int, object]] = []
    journal.note(lease(1))
    journal.commit(lambda error: done.append((1, error)))
    disk.begun.acquire()  # the first one is on its way
    for number in range(2, 100):
        journal.note(lease(number))
        journal.commit(lambda error, number=number: done.append((number, error)))  # type: ignore[misc]
    assert done == []
    disk.go.release()
    disk.go.release()
    journal.close()
    assert [len(batch) for batch in disk.batches] == [1, 98]
    assert done == [(number, None) for number in range(1, 100)]


def test_a_failed_write_is_told_to_all_whose_it_was() -> None:
    """None of them may be answered."""
    disk = SlowFile(BrokenError("the disk is full"))
    disk.go.release()
    journal = Journal(disk)  # type: ignore[arg-type]
    errors: list[BrokenError | None] = []
    journal.note(lease(1))
    journal.commit(errors.append)
    journal.close()
    assert errors == [disk.error]


def test_a_quick_disk_is_written_to_without_a_thread(tmp_path: Path) -> None:
    """Once a write was quick, the next is done when `commit` returns; not after a slow one."""
    file = LeaseFile(tmp_path / "leases.jsonl", keeper.now, stale=10)
    file.start(())
    now = itertools.chain(range(8), range(8, 800, 100))  # the first four writes take a second
    journal = Journal(file, lambda: next(now) / 200)
    threads: list[str] = []

    def write(number: int) -> None:
        finished = threading.Event()

        def done(error: BrokenError | None) -> None:
            assert error is None
            threads.append(threading.current_thread().name)
            finished.set()

        journal.note(lease(number))
        journal.commit(done)
        finished.wait()
        while journal.is_busy:
            pass  # the thread has told, and is not yet back

    for number in range(1, 8):
        write(number)
    journal.close()
    assert threads == ["leases", *["MainThread"] * 4, "leases", "leases"]
    assert len(LeaseFile(tmp_path / "leases.jsonl", keeper.now).load()) == 7


def test_a_new_file_is_written_by_the_thread(tmp_path: Path) -> None:
    """That takes as long as there are leases, however quick the disk is."""
    file = LeaseFile(tmp_path / "leases.jsonl", keeper.now, stale=3)
    file.start(())
    journal = Journal(file, lambda: 0.0)
    threads: list[str] = []

    def told(finished: threading.Event, _: BrokenError | None) -> None:
        threads.append(threading.current_thread().name)
        finished.set()

    for _ in range(7):
        finished = threading.Event()
        journal.note(lease(1))
        journal.commit(partial(told, finished))
        finished.wait()
        while journal.is_busy:
            pass
    journal.close()
    assert threads == ["leases", *["MainThread"] * 4, "leases", "MainThread"]


def test_no_answered_lease_is_lost_by_kill_9(tmp_path: Path) -> None:
    """A process is killed in the midst of its writing, again and again, also of its compaction."""
    path = tmp_path / "leases.jsonl"
    dice = random.Random(7)
    answered: dict[str, int] = {}
    start = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            (sys.executable, keeper.__file__, str(path), str(start)),
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(item for item in sys.path if item)},
        )
        assert process.stdout
        try:
            for _ in range(dice.randrange(1, 3000)):
                note(answered, process.stdout.readline())
        finally:
            process.kill()
        for line in process.communicate()[0].splitlines(keepends=True):
            note(answered, line)
        kept = {str(one.address): int(one.expires) for one in LeaseFile(path, keeper.now).load()}
        for address, number in answered.items():
            assert kept[address] >= number
        start = max(kept.values()) + 1
    assert len(answered) == 50


def note(answered: dict[str, int], line: str) -> None:
    if line.endswith("\n"):  # the last one may be cut off
        address, number = line.split()
        answered[address] = int(number)
