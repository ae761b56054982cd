"""Group commit: leases are written many with one fsync.

While one batch is on its way, what comes meanwhile gathers for the next: the slower the disk, the
larger the batches. A thread writes, so that the loop does not wait for the disk; but where the disk
is quicker than a change of threads on a busy machine, the loop writes by itself.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from ironwake.errors import BrokenError
from ironwake_dhcp.book import Lease
from ironwake_dhcp.lease_file import LeaseFile

_QUICK: Final = 0.01  # seconds of a write; firmware waits for seconds
Done = Callable[[BrokenError | None], None]
_Item = tuple[Sequence[Lease], Done]


class Journal:
    """Writes to `file`, which is open; `close` writes what is still waiting."""

    def __init__(self, file: LeaseFile, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._waiting: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._clock = clock
        self._noted: list[Lease] = []
        self._given = 0  # to the thread, by the loop alone
        self._finished = 0  # by the thread alone
        self._is_quick = False  # the last write was
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._thread.start()

    def note(self, lease: Lease) -> None:
        """Have it written by the next `commit`."""
        self._noted.append(lease)

    @property
    def is_noted(self) -> bool:
        """Whether something waits for `commit`."""
        return bool(self._noted)

    @property
    def is_busy(self) -> bool:
        """Whether the thread has something to write."""
        return self._given != self._finished

    def commit(self, done: Done) -> None:
        """Write all that was noted; `done` is called once that is on the disk.

        It gets the error where it can't be. It may be called here and now, or in another thread.
        """
        noted, self._noted = self._noted, []
        if not self.is_busy and self._is_quick and not self._file.is_full(len(noted)):
            self._write([(noted, done)])
            return
        self._given += 1
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
                self._finished += len(batch)
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
        began = self._clock()
        try:
            self._file.append([lease for leases, _ in batch for lease in leases])
        except BrokenError as broken:
            error = broken
        self._is_quick = self._clock() - began < _QUICK
        for _, done in batch:
            done(error)
