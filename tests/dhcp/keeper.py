"""Keeps leases as the service does, and says which are answered for: a process to be killed."""

from __future__ import annotations

import itertools
import sys
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

from ironwake.errors import BrokenError
from ironwake.moment import Moment
from ironwake_dhcp.book import Lease
from ironwake_dhcp.journal import Journal
from ironwake_dhcp.lease_file import LeaseFile

_BATCH = 7


def now() -> Moment:
    return Moment("run-1", 5000.0, 1.8e9)


def main(path: Path, start: int) -> None:
    """Keep lease after lease, in groups, until killed; a line for each that is on the disk."""
    file = LeaseFile(path, now, stale=200)  # so that compaction is hit by some of the kills
    file.start(file.load())
    journal = Journal(file)
    for group in itertools.count():
        leases = [_lease(start + group * _BATCH + n) for n in range(_BATCH)]
        for lease in leases:
            journal.note(lease)
        journal.commit(partial(_answer, leases))


def _lease(number: int) -> Lease:
    address = IPv4Address(0x0A000000 + number % 50)
    return Lease(address, "52:54:00:77:00:10", float(number))


def _answer(leases: list[Lease], error: BrokenError | None) -> None:
    assert error is None
    for lease in leases:
        sys.stdout.write(f"{lease.address} {lease.expires:.0f}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
