"""The file of subnets, taken anew when it changes: nobody has to restart anything.

Editors rename a new file into the old one's place, and clocks are coarse: what counts is what is in
it. It is small, and read every few seconds. Half of it may be right, too: it is taken when two
readings in a row find the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from ironwake.errors import InputError
from ironwake.subnet import Subnet
from ironwake_runtime import subnets
from ironwake_runtime.service import Log

PAUSE = 5.0  # seconds


class Followed:
    """`file` is looked at from the beginning."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen = _content(file)

    async def run(
        self, take: Callable[[tuple[Subnet, ...]], None], log: Log, pause: float = PAUSE
    ) -> None:
        """For ever: `take` gets each new state; what is wrong is logged, and changes nothing."""
        now = self._seen
        while True:
            await asyncio.sleep(pause)
            before, now = now, _content(self._file)
            if now == self._seen or now != before:
                continue
            self._seen = now
            try:
                taken = subnets.parse(now, self._file)
            except InputError as error:
                log.warning("the subnets stay as they were", error=str(error))
                continue
            take(taken)
            log.info("the subnets have changed", networks=[str(one.network) for one in taken])


def _content(file: Path) -> bytes:
    """Nothing where it can't be read: that is no list of subnets, either."""
    try:
        return file.read_bytes()
    except OSError:
        return b""
