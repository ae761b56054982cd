"""What the controller is told about machines that were seen, and how often: pure, clock passed in.

Firmware repeats itself (edk2 at 0, 4, 12 and 28 seconds, iPXE four times in 7); the timeline wants
to know it once. The same thing about the same card is told again only after a pause.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ironwake_dhcp.offer import identify, uuid_of
from ironwake_dhcp.pace import Pace
from ironwake_dhcp.packet import Request

_PAUSE: Final = 5.0  # seconds; shorter than any machine's way through its firmware
# Of one card: a boot that tries every shape of an offer, through both doors, needs fewer.
_AT_ONCE: Final = 8
# Of all cards that nobody has enrolled: who makes such cards up must not crowd out the others.
_STRANGERS: Final = 100
_STRANGERS_PAUSE: Final = 30.0  # seconds until so many more may be told of
_MOST: Final = 4096  # cards remembered: a sweep of made-up addresses must not fill the memory
_LONGEST: Final = 80  # characters of what a client says about itself


class Sightings:
    """Lets through what is news: of each card, and of strangers in total, so much at a time."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, str], tuple[float, str]] = OrderedDict()
        self._cards = Pace(1 / _PAUSE, _AT_ONCE)
        self._strangers = Pace(_STRANGERS / _STRANGERS_PAUSE, _STRANGERS)

    def is_news(self, kind: str, mac: str, about: str, now: float, stranger: bool = False) -> bool:
        """Whether `about` differs from what was last told of `mac`, or that was long ago.

        What is one thing too many is told when it happens again.

        :param kind: what was seen, a value of `Seen`
        :param now: monotonic seconds
        :param stranger: nobody has enrolled this card
        """
        key = (mac, kind)
        told = self._last.get(key)
        if told is not None and told[1] == about and now - told[0] < _PAUSE:
            return False
        if not self._cards.admits(mac, now) or (stranger and not self._strangers.admits(None, now)):
            return False
        self._last[key] = (now, about)
        self._last.move_to_end(key)
        if len(self._last) > _MOST:
            self._last.popitem(last=False)
        return True


def describe(request: Request) -> dict[str, str]:
    """What the client says about itself, as text that is safe to show."""
    firmware = identify(request)
    said = {
        "message": request.message_type.name.lower(),
        "firmware": firmware.name if firmware else "",
        "architecture": "" if request.arch is None else str(request.arch),
        "vendor_class": _text(request.vendor_class),
        "uuid": uuid_of(request),
        "hostname": _text(request.hostname),
    }
    return {key: value for key, value in said.items() if value}


def _text(value: bytes | None) -> str:
    """Printable ASCII; everything else as an escape."""
    if not value:
        return ""
    shown = value[:_LONGEST].decode("ascii", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)[:_LONGEST]
