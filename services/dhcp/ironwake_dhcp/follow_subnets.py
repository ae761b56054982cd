"""The file of subnets, taken anew when it changes: nobody has to restart anything.

Editors rename a new file into the old one's place, and clocks are coarse: what counts is what is in
it. It is small, and read every few seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from ironwake.errors import InputError
from ironwake.subnet import Subnet
from ironwake_runtime.service import Log

PAUSE = 5.0  # seconds


class Followed:
    """`file` is looked at from the beginning, `read` makes subnets of it; raises InputError."""

    def __init__(self, file: Path, read: Callable[[], tuple[Subnet, ...]]) -> None:
        self._file = file
        self._read = read
        self._seen = self._raw()

    async def run(
        self, take: Callable[[tuple[Subnet, ...]], None], log: Log, pause: float = PAUSE
    ) -> None:
        """For ever: `take` gets each new state; what is wrong is logged, and changes nothing."""
        while True:
            await asyncio.sleep(pause)
            raw = self._raw()
            if raw == self._seen:
                continue
            self._seen = raw
            try:
                subnets = self._read()
            except InputError as error:
                log.warning("the subnets stay as they were", error=str(error))
                continue
            take(subnets)
            log.info("the subnets have changed", networks=[str(one.network) for one in subnets])

    def _raw(self) -> bytes | None:
        try:
            return self._file.read_bytes()
        except OSError:
            return None
