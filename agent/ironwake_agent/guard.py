"""Looks at an archive between what decompresses it and what unpacks it.

GNU tar itself keeps names inside of its folder: it leaves out `..`, cuts off a leading `/`, and
makes links that lead elsewhere only at the end. What it has no idea of is how much there shall be,
and where devices belong. A member that is refused is never given to it as a whole.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from typing import IO

from ironwake.order import Archive
from ironwake.rootfs.member import Member, RootError
from ironwake.rootfs.reader import Reader
from ironwake.rootfs.rules import Limits, Rules

_CHUNK = 1 << 18
_PIPE = 1 << 20  # what an unprivileged process may have, and fewer changes between the programs
# What the appliance counts and what is written here may differ a little, never by much.
_MARGIN = 64 << 20
_MARGIN_PART = 50  # and 2 %


def limits(archive: Archive) -> Limits:
    """As much as the order says; without a word of it, as much as any archive may have."""
    if not archive.unpacked:
        return Limits()
    return Limits(size=archive.unpacked + archive.unpacked // _MARGIN_PART + _MARGIN)


class Guard(threading.Thread):
    """Carries plain bytes from one program to the next until a member is refused.

    :ivar trouble: why it stopped, once it has ended; None where all was well
    """

    def __init__(self, source: IO[bytes], sink: IO[bytes], allowed: Limits) -> None:
        super().__init__(name="guard", daemon=True)
        self._source = source
        self._sink = sink
        self._reader = Reader(allowed)
        self._rules = Rules(allowed)
        self.trouble: RootError | None = None
        for pipe in (source, sink):
            with suppress(OSError):  # only slower
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)

    def run(self) -> None:
        # Closed either way: both programs notice, and end.
        with suppress(BrokenPipeError), self._source, self._sink:
            try:
                self._carry()
            except RootError as error:
                self.trouble = error

    def _carry(self) -> None:
        while chunk := os.read(self._source.fileno(), _CHUNK):
            for event in self._reader.feed(chunk):
                if isinstance(event, Member):
                    self._rules.admit(event)
            self._sink.write(chunk)
        self._reader.close()
