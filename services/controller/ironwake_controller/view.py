"""The view for the data plane: built from the store and the surroundings, once per version."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

from ironwake import wire
from ironwake.deployment import Deployment
from ironwake.lifecycle import ENDS
from ironwake.site import Policy
from ironwake.view import Entry, Index, View
from ironwake_controller import leasing
from ironwake_controller.store import addresses, deployments, leases, machines, meta
from ironwake_controller.store.deployments import Record
from ironwake_controller.store.store import Store


class Views:
    """`policy` gives the site and the shelf; who changes those must touch the store."""

    def __init__(self, store: Store, policy: Callable[[], Policy]) -> None:
        self._store = store
        self._policy = policy
        self._lock = threading.Lock()
        self._last: Index | None = None
        self._bytes: tuple[int, bytes] = (-1, b"")

    def index(self) -> Index:
        """The present view; built only when the store's version is another one."""
        with self._lock:
            last = self._last
            if last is None or last.view.version != self._store.version:
                self._last = last = Index(self._build())
            return last

    def encoded(self) -> bytes:
        """The same as JSON, for the wire; made once for all who ask."""
        view = self.index().view
        version, raw = self._bytes
        if version != view.version:
            raw = wire.encode(view)
            self._bytes = (view.version, raw)
        return raw

    def _build(self) -> View:
        policy = self._policy()
        site = policy.site
        with self._store.read() as connection:
            version = meta.version(connection)
            known = addresses.by_machine(connection)
            newest = deployments.latest_of_all(connection)
            live = leases.live(connection, self._store.clock.wall().timestamp())
            held = {item.mac: str(item.address) for item in live}
            entries = tuple(
                Entry(
                    there.machine,
                    _public(newest.get(there.id)),
                    leasing.address_of(
                        there.machine, held, known.get(there.id, ""), serves=not site.proxy
                    ),
                    there.memory,
                )
                for there in machines.every(connection)
            )
        lent = leasing.lent(live)
        return View(version, site, policy.shelf, entries, policy.quirks, policy.foreign, lent)


def _public(record: Record | None) -> Deployment | None:
    """Without its tokens once it is over: nobody needs them any more."""
    if record is None or record.state not in ENDS:
        return record.deployment if record else None
    return dataclasses.replace(record.deployment, token="", health_token="")
