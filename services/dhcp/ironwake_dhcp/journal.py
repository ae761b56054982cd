"""Group commit: leases are written by a thread of their own, many with one fsync.

The loop never waits for the disk. While one batch is on its way, what comes meanwhile gathers for
the next: the slower the disk, the larger the batches.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

from ironwake.errors import BrokenError
from ironwake_dhcp.book import Lease
from ironwake_dhcp.lease_file import LeaseFile

Done = Callable[[BrokenError | None], None]
_Item = tuple[Sequence[Lease], Done]


class Journal:
    """Writes to `file`, which is open; `close` writes what is still waiting."""

    def __init__(self, file: LeaseFile) -> None:
        self._file = file
        self._waiting: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._noted: list[Lease] = []
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._thread.start()

    def note(self, lease: Lease) -> None:
        """Have it written by the next `commit`."""
        self._noted.append(lease)

    @property
    def is_noted(self) -> bool:
        """Whether something waits for `commit`."""
        return bool(self._noted)

    def commit(self, done: Done) -> None:
        """Write all that was noted; `done` is called in another thread, once that is on the disk.

        It gets the error where it can't be.
        """
        noted, self._noted = self._noted, []
        self._waiting.put((noted, done))

    def close(self) -> None:
        """Returns when everything is written, and the file is closed."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()
        self._file.close()

    def _run(self) -> None:
        while True:
            batch, last = self._gather()
            if batch:
                self._write(batch)
            if last:
                return

    def _gather(self) -> tuple[list[_Item], bool]:
        """What waits, one at least; and whether it is the last."""
        item = self._waiting.get()
        batch: list[_Item] = []
        while item is not None:
            batch.append(item)
            try:
                item = self._waiting.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _write(self, batch: list[_Item]) -> None:
        error: BrokenError | None = None
        try:
            self._file.append([lease for leases, _ in batch for lease in leases])
        except BrokenError as broken:
            error = broken
        for _, done in batch:
            done(error)
