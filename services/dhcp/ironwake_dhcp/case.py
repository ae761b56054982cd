"""A request that is known already: what the view says of it, and what was answered, kept at hand.

Firmware repeats itself, down to the last octet but for the transaction's number and the seconds
since it began. All that follows from the rest, and from the view, is found out once. What depends
on the time, or on what was said before, is asked each time: it is no part of a case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ironwake.lifecycle import BOOTABLE, State
from ironwake.personality import Personality
from ironwake.report import Seen
from ironwake.view import Entry
from ironwake_dhcp.delivery import Source
from ironwake_dhcp.offer import Boot, Chance, Door
from ironwake_dhcp.packet import SECS, XID, Request
from ironwake_dhcp.reply import Quiet, Reply
from ironwake_dhcp.template import Stencil

# It has asked for more than an offer: its firmware took the last one.
_WENT_ON: Final = frozenset({State.LOADER, State.KERNEL})
_MOST: Final = 4096  # cases kept, of a kilobyte or two each


@dataclass(frozen=True, slots=True)
class News:
    """Something to report, if it is news by then; `detail` is made when it is."""

    seen: Seen
    about: str
    client: str
    detail: Callable[[], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Said:
    """What was decided about booting, and what it comes to; `stencil` is None for silence."""

    found: Boot | Quiet
    answer: Reply | Quiet
    count: str
    news: tuple[News, ...]
    stencil: Stencil | None


@dataclass(slots=True)
class Case:
    """`request` is the first of its kind: its number and seconds are not those of the next."""

    request: Request
    source: Source
    entry: Entry | None
    chance: Chance | Quiet
    uuid: str
    said: list[Said] = field(default_factory=list)
    _boots: list[Boot] = field(default_factory=list)
    awaited: bool = field(init=False)
    went_on: bool = field(init=False)
    claims: str = field(init=False)

    def __post_init__(self) -> None:
        deployment = self.entry.deployment if self.entry else None
        state = deployment.state if deployment else None
        self.awaited = state in BOOTABLE
        # What it asks for, or through which door, tells that it took our offer.
        self.went_on = self.source.door is Door.BOOT or state in _WENT_ON
        # The deployment that becomes this machine's by being offered, if it is nobody's yet. A
        # machine that tells no UUID cannot be told apart, and does not make it anybody's.
        installs = isinstance(self.chance, Chance) and self.chance.installs
        free = installs and deployment is not None and not deployment.uuid
        self.claims = deployment.id if free and deployment and self.uuid else ""

    def boot(self, chance: Chance, personality: Personality) -> Boot:
        """The same object for the same shape."""
        for boot in self._boots:
            if boot.personality is personality:
                return boot
        self._boots.append(chance.shaped(personality))
        return self._boots[-1]

    def known(self, found: Boot | Quiet) -> Said | None:
        """What was said before to this very finding."""
        for said in self.said:
            if said.found is found:
                return said
        return None


class Cases:
    """Those of one view, the oldest of many forgotten; `most` = 0 keeps none."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._known: dict[bytes, Case] = {}

    def find(self, data: bytes, source: Source) -> Case | None:
        return self._known.get(_key(data, source))

    def keep(self, data: bytes, source: Source, case: Case) -> None:
        """Only of enrolled machines: strangers could make up as many as they like."""
        if case.entry is None or not self._most:
            return
        if len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        self._known[_key(data, source)] = case

    def clear(self) -> None:
        self._known.clear()

    def __len__(self) -> int:
        return len(self._known)


def _key(data: bytes, source: Source) -> bytes:
    return source.tag + data[: XID.start] + data[SECS.stop :]
