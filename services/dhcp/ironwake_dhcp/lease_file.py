"""Leases on disk: an append-only journal of JSON lines, each on the disk before its ACKs leave.

A line holds all leases that were written at once. So only the last one can be torn by a power cut,
and nobody was told of what is in it. It also says when that was, by both clocks: terms go by the
steady one, and after the host's own restart by the time of day as it was known last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final

from ironwake.errors import BrokenError, InputError
from ironwake.mac import Mac
from ironwake.moment import Moment
from ironwake_dhcp.book import Lease
from ironwake_runtime.durable import sync_folder

# Leases that are out of date, beside as many as are in force, before a new file is written.
_STALE: Final = 4096
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class LeaseFile:
    """The journal of all subnets. The last word about an address counts.

    Raises BrokenError where the file can't be read or written: a server that forgets its leases
    would give the same address twice.
    """

    def __init__(self, path: Path, now: Callable[[], Moment], stale: int = _STALE) -> None:
        self._path = path
        self._now = now
        self._stale = stale
        self._descriptor = -1
        self._latest: dict[IPv4Address, Lease] = {}
        self._written = 0

    def load(self) -> tuple[Lease, ...]:
        """What was kept. A last line that is not whole is a power cut's, and was never answered."""
        try:
            *lines, torn = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise self._broken("cannot be read", str(error)) from error
        # A file that had grown when the power went may end in zeros instead of what was written.
        if not torn and lines and b"\0" in lines[-1]:
            lines.pop()
        latest: dict[IPv4Address, tuple[Lease, Moment]] = {}
        known: dict[str, Moment] = {}  # the last one of each run of the kernel
        for number, line in enumerate(lines, 1):
            leases, at = self._parse(line, number)
            latest |= {lease.address: (lease, at) for lease in leases}
            known[at.boot] = at
        now = self._now()
        return tuple(
            _carried(lease, at.dated_by(known[at.boot]), now) for lease, at in latest.values()
        )

    def start(self, leases: Iterable[Lease]) -> None:
        """Begin a new journal with these leases, in place of the old one, and keep it open."""
        self._latest = {lease.address: lease for lease in leases}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._compact()
        except OSError as error:
            self.close()
            raise self._broken("cannot be written", str(error)) from error

    def append(self, leases: Sequence[Lease]) -> None:
        """Returns once all of `leases` are on the disk, by one fsync."""
        try:
            _write(self._descriptor, _line(leases, self._now()))
        except OSError as error:
            raise self._broken("cannot be written", str(error)) from error
        self._latest |= {lease.address: lease for lease in leases}
        self._written += len(leases)
        if self.is_full(0):
            try:
                self._compact()
            except OSError:  # the old one goes on: nothing is lost, and it is tried again later
                self._written = len(self._latest)

    def is_full(self, more: int) -> bool:
        """Whether a new file is written after so many more leases, which takes a while."""
        return self._written + more > 2 * len(self._latest) + self._stale

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _compact(self) -> None:
        """Put a journal of the latest words in place of the old one."""
        aside = self._path.with_suffix(".new")
        descriptor = os.open(aside, _FLAGS, 0o600)
        try:
            _write(descriptor, _line(list(self._latest.values()), self._now()))
            aside.replace(self._path)
            sync_folder(self._path.parent)
        except OSError:
            # Once it has the name, it is the journal: only what came before has left no trace.
            if aside.exists():
                os.close(descriptor)
                raise
        self.close()
        self._descriptor, self._written = descriptor, len(self._latest)

    def _parse(self, line: bytes, number: int) -> tuple[list[Lease], Moment]:
        try:
            data: Any = json.loads(line)
            boot, steady, wall = data["at"]
            leases = [_lease(item) for item in data["leases"]]
            return leases, Moment(str(boot), float(steady), float(wall))
        except (ValueError, KeyError, TypeError, InputError, RecursionError) as error:
            why = str(error) or type(error).__name__
            raise self._broken(f"is damaged in line {number}", why) from error

    def _broken(self, what: str, why: str) -> BrokenError:
        return BrokenError(
            f"the lease file {self._path} {what}: {why}",
            "see to the disk; if the file is lost, wait for the lease time before you delete it",
        )


def _write(descriptor: int, data: bytes) -> None:
    """All of `data`, or none of it: half a line would spoil the next one."""
    before = os.fstat(descriptor).st_size
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, before)
        raise


def _lease(data: Any) -> Lease:
    return Lease(
        IPv4Address(data["address"]),
        str(Mac(data["mac"])) if data["mac"] else "",
        float(data["expires"]),
        str(data["hostname"]),
        float(data["since"]),
    )


def _carried(lease: Lease, written: Moment, now: Moment) -> Lease:
    expires, since = (now.carried(at, written) for at in (lease.expires, lease.since))
    return replace(lease, expires=expires, since=since)


def _line(leases: Sequence[Lease], at: Moment) -> bytes:
    fields = [
        {
            "address": str(lease.address),
            "mac": lease.mac,
            "expires": lease.expires,
            "hostname": lease.hostname,
            "since": lease.since,
        }
        for lease in leases
    ]
    said = {"at": [at.boot, at.steady, at.wall], "leases": fields}
    return json.dumps(said).encode() + b"\n"
