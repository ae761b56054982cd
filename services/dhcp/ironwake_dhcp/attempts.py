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
from dataclasses import dataclass
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
_MOST: Final = 4096  # cards remembered: a sweep of made-up addresses must not fill the memory


@dataclass
class _Attempt:
    last: float
    order: tuple[Personality, ...]
    xid: int
    offers: int = 0  # in this boot
    place: int = 0
    unanswered: int = 0  # of the shape at `place`

    def next_shape(self) -> None:
        self.place, self.unanswered = self.place + 1, 0


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
        *,
        awaited: bool = True,
        xid: int | None = None,
    ) -> Personality | Quiet:
        """The shape of the answer; counts a DISCOVER as one more offer.

        :param xid: the transaction, where `request` is known from an earlier one
        :param awaited: it shall go on to an installation, and would be seen to; else it is only
            led to its disk, and another boot is no complaint
        """
        xid = request.xid if xid is None else xid
        attempt = self._attempt(request, firmware, led, now, awaited, xid)
        if request.message_type is MessageType.DISCOVER:
            attempt.offers += 1
            begins_anew = attempt.unanswered and xid != attempt.xid
            if begins_anew and not awaited:
                attempt.offers, attempt.place, attempt.unanswered = 1, 0, 0
            elif begins_anew or attempt.unanswered == TRIES:
                attempt.next_shape()
            attempt.unanswered += 1
            attempt.xid = xid
        if firmware.ipxe and firmware.transport is Transport.TFTP and attempt.offers > CHAINS:
            return _CHAINED
        return led.personalities[attempt.place % len(led.personalities)]

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

    def _attempt(
        self,
        request: Request,
        firmware: Firmware,
        led: Led,
        now: float,
        awaited: bool,
        xid: int,
    ) -> _Attempt:
        key = (request.mac, firmware.name)
        known = self._known.get(key)
        if known is None or known.order != led.personalities:
            known = self._known[key] = _Attempt(now, led.personalities, xid)
        elif now - known.last > BOOT:
            known.offers = 0
            if not awaited:
                known.unanswered = 0
            elif known.unanswered:  # old ROMs make the same transaction of their card's address
                known.next_shape()
        known.last = now
        self._known.move_to_end(key)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return known
