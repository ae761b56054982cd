"""Looks at an archive between what decompresses it and what unpacks it.

GNU tar itself keeps names inside of its folder: it leaves out `..`, cuts off a leading `/`, and
makes links that lead elsewhere only at the end. What it has no idea of is how much there shall be,
and where devices belong. A member that is refused is never given to it as a whole.
"""

from __future__ import annotations

from ironwake.order import Archive
from ironwake.rootfs.member import Member
from ironwake.rootfs.reader import Reader
from ironwake.rootfs.rules import Limits, Rules

# What the appliance counts and what is written here may differ a little, never by much.
_MARGIN = 64 << 20
_MARGIN_PART = 50  # and 2 %


def limits(archive: Archive) -> Limits:
    """As much as the order says; without a word of it, as much as any archive may have."""
    if not archive.unpacked:
        return Limits()
    return Limits(size=archive.unpacked + archive.unpacked // _MARGIN_PART + _MARGIN)


class Guard:
    """One archive's plain bytes, looked at in their order; RootError for what is refused."""

    def __init__(self, allowed: Limits) -> None:
        self._reader = Reader(allowed)
        self._rules = Rules(allowed)

    def admit(self, piece: memoryview) -> None:
        """The next bytes, before they are given to tar."""
        for event in self._reader.feed(piece):
            if isinstance(event, Member):
                self._rules.admit(event)

    def close(self) -> None:
        """Say that nothing more comes."""
        self._reader.close()
