"""Which shape of offer a machine gets now: the next one, when it does not take the last. Pure.

A machine that asks again after two offers of ours, within one boot and without going on, did not
understand them. It gets the next personality of its plan, and after the last one the first again:
it may also have had no address yet.

Firmware that has got an address and no boot file from us does not repeat itself: iPXE and edk2 give
that boot up (iPXE after two DISCOVERs). So whoever is waited for, begins anew with another
transaction, and has not gone on after our last offer, gets the next one at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ironwake.firmware import FIRMWARE, Firmware, Transport
from ironwake.mac import Mac
from ironwake.personality import Personality
from ironwake.plan import Led
from ironwake_dhcp.packet import MessageType, Request
from ironwake_dhcp.reply import Quiet

# Seconds without a word after which what comes next is another boot: edk2's longest pause is 16.
BOOT: Final = 60.0
# Offers of one shape before the next is tried.
TRIES: Final = 2
# How often an iPXE that cannot take a script is given ours in one boot: it would ask for ever.
CHAINS: Final = 6
_CHAINED: Final = Quiet("its iPXE takes no script by HTTP, and was given ours in this boot already")
_DISCOVER: Final = MessageType.DISCOVER
_MOST: Final = 4096  # cards remembered: a sweep of made-up addresses must not fill the memory


@dataclass(slots=True)
class _Attempt:
    """`shape` is that of the last offer, the one at `place` of `order`."""

    last: float
    order: tuple[Personality, ...]
    xid: int
    offers: int = 0  # in this boot
    place: int = 0
    unanswered: int = 0  # of this shape
    shape: Personality = field(init=False)

    def __post_init__(self) -> None:
        self.shape = self.order[0]

    def offer(self, xid: int, awaited: bool) -> None:
        """One more DISCOVER, and so one more offer."""
        self.offers += 1
        begins_anew = self.unanswered and xid != self.xid
        if begins_anew and not awaited:
            self.offers, self.unanswered = 1, 0
            self._take_shape(0)
        elif begins_anew or self.unanswered == TRIES:
            self._take_shape(self.place + 1)
        self.unanswered += 1
        self.xid = xid

    def begin_boot(self, awaited: bool) -> None:
        """What comes after a long silence is another boot."""
        self.offers = 0
        if not awaited:
            self.unanswered = 0
        elif self.unanswered:  # old ROMs make the same transaction of their card's address
            self._take_shape(self.place + 1)

    def _take_shape(self, place: int) -> None:
        self.place, self.unanswered = place % len(self.order), 0
        self.shape = self.order[self.place]


class Attempts:
    """What was offered in the running boot of each card and firmware; times are monotonic."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Mac, str], _Attempt] = OrderedDict()

    def choose(
        self,
        request: Request,
        firmware: Firmware,
        led: Led,
        now: float,
        awaited: bool = True,
        xid: int | None = None,
    ) -> Personality | Quiet:
        """The shape of the answer; counts a DISCOVER as one more offer.

        :param xid: the transaction, where `request` is known from an earlier one
        :param awaited: it shall go on to an installation, and would be seen to; else it is only
            led to its disk, and another boot is no complaint
        """
        if xid is None:
            xid = request.xid
        key = (request.mac, firmware.name)
        attempt = self._known.get(key)
        if attempt is None or attempt.order != led.personalities:
            attempt = self._begin(key, _Attempt(now, led.personalities, xid))
        elif now - attempt.last > BOOT:
            attempt.begin_boot(awaited)
        attempt.last = now
        self._known.move_to_end(key)
        if request.message_type is _DISCOVER:
            attempt.offer(xid, awaited)
        if attempt.offers > CHAINS and firmware.ipxe and firmware.transport is Transport.TFTP:
            return _CHAINED
        return attempt.shape

    def went_on(self, mac: Mac) -> None:
        """It took an offer: what comes next is no repeat."""
        for firmware in FIRMWARE:
            attempt = self._known.get((mac, firmware.name))
            if attempt is not None:
                attempt.unanswered = 0

    def settle(self, awaited: Callable[[Mac], bool]) -> None:
        """Whoever is not waited for any more has gone on: its next boot is another matter."""
        for (mac, _), attempt in self._known.items():
            if not awaited(mac):
                attempt.unanswered = 0

    def __len__(self) -> int:
        return len(self._known)

    def _begin(self, key: tuple[Mac, str], attempt: _Attempt) -> _Attempt:
        self._known[key] = attempt
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return attempt
