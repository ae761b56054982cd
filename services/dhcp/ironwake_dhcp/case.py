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
from ironwake_dhcp.packet import Request
from ironwake_dhcp.reply import Quiet
from ironwake_dhcp.sightings import describe
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
    kind: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", str(self.seen))  # to be compared faster


Shape = Personality | Quiet  # what is the same object whenever the same is decided


@dataclass(frozen=True, slots=True)
class Said:
    """What a shape comes to; `stencil` is None for silence, `waits` as of `Outgoing`."""

    shape: Shape
    count: str
    news: tuple[News, ...]
    stencil: Stencil | None
    waits: bool = False


@dataclass(slots=True)
class Case:
    """`request` is the first of its kind: its number and seconds are not those of the next.

    `said` is what was answered so far, one for each shape. `awaited`: it shall go on to an
    installation. `went_on`: what it asks for, or through which door, tells that it took our offer.
    `claims`: the deployment that becomes this machine's by being offered, "" for none.
    """

    request: Request
    source: Source
    entry: Entry | None
    chance: Chance | Quiet
    uuid: str
    said: list[Said] = field(default_factory=list)
    _description: dict[str, str] = field(default_factory=dict)
    is_stranger: bool = field(init=False)
    awaited: bool = field(init=False)
    went_on: bool = field(init=False)
    claims: str = field(init=False)

    def __post_init__(self) -> None:
        deployment = self.entry.deployment if self.entry else None
        state = deployment.state if deployment else None
        self.is_stranger = self.entry is None
        self.awaited = state in BOOTABLE
        self.went_on = self.source.door is Door.BOOT or state in _WENT_ON
        installs = isinstance(self.chance, Chance) and self.chance.installs
        free = installs and deployment is not None and not deployment.uuid
        # One that tells no UUID cannot be told apart, and does not make it anybody's.
        self.claims = deployment.id if free and deployment and self.uuid else ""

    def describe(self) -> dict[str, str]:
        """What the client says about itself."""
        if not self._description:
            self._description = describe(self.request)
        return self._description

    def found(self, shape: Shape) -> Boot | Quiet:
        """What is decided about booting, in words."""
        chance = self.chance
        if isinstance(chance, Quiet):
            return chance
        return shape if isinstance(shape, Quiet) else chance.shaped(shape)


class Cases:
    """Those of one view, the oldest of many forgotten; `most` = 0 keeps none.

    `known` has them by `key`: source, and all but the transaction's number and the seconds.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self.known: dict[bytes, Case] = {}

    def keep(self, key: bytes, case: Case) -> None:
        """Only of enrolled machines: strangers could make up as many as they like."""
        if case.is_stranger or not self._most:
            return
        if len(self.known) >= self._most:
            del self.known[next(iter(self.known))]
        self.known[key] = case

    def clear(self) -> None:
        self.known.clear()

    def __len__(self) -> int:
        return len(self.known)
