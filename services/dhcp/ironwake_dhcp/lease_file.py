"""Leases on disk: an append-only journal of JSON lines, each on the disk before its ACK leaves."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from ironwake.errors import BrokenError, InputError
from ironwake.mac import Mac
from ironwake_dhcp.leases import Lease
from ironwake_runtime.durable import sync_folder


class LeaseFile:
    """The journal of one pool. The last line about an address counts.

    Raises BrokenError where the file can't be read or written: a server that forgets its leases
    would give the same address twice.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def load(self) -> tuple[Lease, ...]:
        """What was kept. A last line without its end is a power cut's, and was never answered."""
        try:
            lines = self._path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise self._broken("cannot be read", str(error)) from error
        latest: dict[IPv4Address, Lease] = {}
        for number, line in enumerate(lines, 1):
            lease = self._parse(line, number)
            latest[lease.address] = lease
        return tuple(latest.values())

    def start(self, leases: Iterable[Lease]) -> None:
        """Begin a new journal with these leases, in place of the old one, and keep it open."""
        aside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
            self._descriptor = os.open(aside, flags, 0o600)
            self._append(b"".join(_line(lease) for lease in leases))
            aside.replace(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            self.close()
            raise self._broken("cannot be written", str(error)) from error

    def keep(self, lease: Lease) -> None:
        """Returns once `lease` is on the disk."""
        try:
            self._append(_line(lease))
        except OSError as error:
            raise self._broken("cannot be written", str(error)) from error

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, data: bytes) -> None:
        """All of `data`, or none of it: half a line would spoil the next one."""
        before = os.fstat(self._descriptor).st_size
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, before)
            raise

    def _parse(self, line: bytes, number: int) -> Lease:
        try:
            data: Any = json.loads(line)
            owner = str(Mac(data["mac"])) if data["mac"] else ""
            return Lease(IPv4Address(data["address"]), owner, float(data["expires"]))
        except (ValueError, KeyError, TypeError, InputError, RecursionError) as error:
            why = str(error) or type(error).__name__
            raise self._broken(f"is damaged in line {number}", why) from error

    def _broken(self, what: str, why: str) -> BrokenError:
        return BrokenError(
            f"the lease file {self._path} {what}: {why}",
            "see to the disk; if the file is lost, wait for the lease time before you delete it",
        )


def _line(lease: Lease) -> bytes:
    fields = {"address": str(lease.address), "mac": lease.mac, "expires": lease.expires}
    return json.dumps(fields).encode() + b"\n"
