"""The view for the data plane: made from the store and the surroundings, once per version.

Of many machines, one changes at a time. Rows are read as they stand and compared with those of the
version before: only what differs is parsed and encoded anew. So it does not matter who changed a
row, and nobody can forget to say so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from ironwake import wire
from ironwake.deployment import Deployment
from ironwake.lifecycle import ENDS
from ironwake.site import Policy
from ironwake.view import Entry, Index, View, ViewChange, joined, joined_change
from ironwake_controller import lease_book
from ironwake_controller.store import addresses, deployments, leases, machines, meta
from ironwake_controller.store.store import Store
from ironwake_runtime import clock

_REST = 4.0  # times as long as the last making took, before it is made again for a poll
_MOST_GONE = 1000  # removed machines remembered by name


@dataclass(frozen=True)
class _Kept:
    """A machine's part: the rows that it was made of, and since which version it is so."""

    rows: tuple[Any, ...]
    entry: Entry
    encoded: bytes
    version: int


class Views:
    """`policy` gives the site and the shelf; who changes those must touch the store."""

    def __init__(self, store: Store, policy: Callable[[], Policy]) -> None:
        self._store = store
        self._policy = policy
        self._lock = threading.Lock()
        self._last: Index | None = None
        self._kept: dict[str, _Kept] = {}  # by name, in the order of the view
        self._gone: dict[str, int] = {}
        self._first = 0  # since when all changes are known
        self._again = 0.0  # when a poll may have it made again, by the monotonic clock

    def index(self) -> Index:
        """The present view; made only when the store's version is another one."""
        with self._lock:
            last = self._last
            if last is None or last.view.version != self._store.version:
                began = time.monotonic()
                self._last = last = Index(self._make())
                ended = time.monotonic()
                self._again = ended + _REST * (ended - began)
            return last

    def encoded(self) -> bytes:
        """The same as JSON."""
        view = self.index().view
        with self._lock:
            return joined(view, [kept.encoded for kept in self._kept.values()])

    def changes(self, after: int) -> bytes:
        """A `ViewChange` as JSON: what is new since version `after`, else the whole."""
        self.index()
        with self._lock:
            assert self._last is not None  # noqa: S101 (made in the line above)
            view = self._last.view
            part = self._first <= after <= view.version
            since = after if part else -1
            entries = [kept.encoded for kept in self._kept.values() if kept.version > since]
            gone = tuple(name for name, at in self._gone.items() if part and at > after)
        return joined_change(ViewChange(view, since, gone), entries)

    def rest(self) -> float:
        """Seconds until a poll may have it made: machines come first, news of them later."""
        return max(0.0, self._again - time.monotonic())

    def _make(self) -> View:
        policy = self._policy()
        site = policy.site
        with self._store.read() as connection:
            version = meta.version(connection)
            live = leases.live(connection, clock.now(self._store.clock))
            held = {item.mac: str(item.address) for item in live}
            before, self._kept = self._kept, {}
            for name, rows in _rows(connection):
                known = before.get(name)
                fresh = _entry(rows) if known is None or known.rows != rows else known.entry
                known_address = rows[-1]
                address = lease_book.address_of(
                    fresh.machine, held, known_address, serves=not site.proxy
                )
                entry = fresh if fresh.address == address else replace(fresh, address=address)
                if known is None or entry is not known.entry:
                    known = _Kept(rows, entry, wire.encode(entry), version)
                self._kept[name] = known
        self._forget(before, version)
        entries = tuple(kept.entry for kept in self._kept.values())
        lent = lease_book.lent(live)
        return View(version, site, policy.shelf, entries, policy.quirks, policy.foreign, lent)

    def _forget(self, before: dict[str, _Kept], version: int) -> None:
        for name in before.keys() - self._kept.keys():
            self._gone[name] = version
        for name in self._gone.keys() & self._kept.keys():
            del self._gone[name]
        if len(self._gone) > _MOST_GONE or not before:
            self._gone, self._first = {}, version


def _rows(connection: Connection) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Each machine by name with all that its entry is made of; JSON as the text that it is."""
    newest = deployments.latest_texts(connection)
    known = addresses.by_machine(connection)
    for number, name, document, memory in machines.texts(connection):
        yield name, (document, memory, newest.get(number), known.get(number, ""))


def _entry(rows: tuple[Any, ...]) -> Entry:
    document, memory, deployment, _ = rows
    machine, learned = machines.parse(document, memory)
    return Entry(machine, _public(deployment), "", learned)


def _public(row: tuple[Any, ...] | None) -> Deployment | None:
    """Without what only the claim gives; and its tokens once it is over: nobody needs them."""
    found = deployments.parse(row).public if row is not None else None
    if found is None or found.state not in ENDS:
        return found
    return replace(found, token="", health_token="")
