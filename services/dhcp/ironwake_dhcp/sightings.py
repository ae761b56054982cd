"""What the controller is told about machines that were seen, and how often: pure, clock passed in.

Firmware repeats itself (edk2 at 0, 4, 12 and 28 seconds, iPXE four times in 7); the timeline wants
to know it once. The same thing about the same card is told again only after a pause.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ironwake.machine import MachineUuid
from ironwake.report import Seen
from ironwake_dhcp.offer import identify
from ironwake_dhcp.packet import Request

_PAUSE: Final = 5.0  # seconds; shorter than any machine's way through its firmware
_MOST: Final = 4096  # cards remembered: a sweep of made-up addresses must not fill the memory
_LONGEST: Final = 80  # characters of what a client says about itself


class Sightings:
    """Lets through what is news."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, Seen], tuple[float, str]] = OrderedDict()

    def is_news(self, seen: Seen, mac: str, about: str, now: float) -> bool:
        """Whether `about` differs from what was last told of `mac`, or that was long ago.

        `now` in monotonic seconds.
        """
        key = (mac, seen)
        told = self._last.get(key)
        if told is not None and told[1] == about and now - told[0] < _PAUSE:
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


def uuid_of(request: Request) -> str:
    """The SMBIOS UUID of option 97, "" where there is none."""
    return MachineUuid.from_option_97(request.uuid or b"") or ""


def _text(value: bytes | None) -> str:
    """Printable ASCII; everything else as an escape."""
    if not value:
        return ""
    shown = value[:_LONGEST].decode("ascii", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)[:_LONGEST]
