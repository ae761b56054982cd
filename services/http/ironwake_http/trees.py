"""Trees of media: which stretch of which artifact a file is, by the tables that were made when the
medium was added. No ISO's own structures are read here.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict

from ironwake.errors import BrokenError
from ironwake.iso.table import Table, decode
from ironwake.site import Stored
from ironwake_http.sending import open_exactly
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.shortage import ShortageError

# Bytes of tables as they are stored; in memory they are five times as large. A full DVD's has one
# MB, the largest that a medium may have some twenty: strangers may ask for all that there are.
_KEPT = 32 << 20


class Trees:
    """Tables by their hashes, those that were asked for last; in any thread.

    `kept`: bytes of tables, beside the one that was asked for last. A transfer needs no table any
    more: it has a descriptor of its own.
    """

    def __init__(self, store: ArtifactStore, kept: int = _KEPT) -> None:
        self._store = store
        self._kept = kept
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._tables: OrderedDict[str, tuple[int, Table]] = OrderedDict()

    def table(self, item: Stored) -> Table:
        """The table that this artifact is; BrokenError where it is damaged or gone, ShortageError
        where no descriptor is free."""
        found = self._known(item)
        if found is None:
            # One at a time: the interpreter reads no two at once, and each takes its memory.
            with self._reading:
                found = self._known(item) or self._read(item)
                self._keep(item, found)
        return found

    def _known(self, item: Stored) -> Table | None:
        with self._lock:
            if item.sha256 not in self._tables:
                return None
            self._tables.move_to_end(item.sha256)
            return self._tables[item.sha256][1]

    def _keep(self, item: Stored, table: Table) -> None:
        with self._lock:
            self._tables[item.sha256] = item.size, table
            size = sum(one for one, _ in self._tables.values())
            while size > self._kept and len(self._tables) > 1:
                size -= self._tables.popitem(last=False)[1][0]

    def _read(self, item: Stored) -> Table:
        try:
            with os.fdopen(open_exactly(self._store.path(item.sha256), item.size), "rb") as file:
                return decode(file.read())
        except ShortageError:
            raise
        except (OSError, BrokenError) as error:
            raise BrokenError(
                f"the table of {item.manifest} cannot be read: {error}",
                f"see: ironwake media verify {item.manifest}",
            ) from error
