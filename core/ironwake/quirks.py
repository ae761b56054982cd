"""Quirks: rows that tell how machines of a kind are to be answered; a site shares them as a file.

quirks:
- firmware: uefi-amd64-pxe        # any of these three may be left out
  oui: "00:25:90"                 # the first three bytes of the card's address
  label: {rack: old}
  personalities: [boot-server]    # these only, in this order
  loader: ipxe
  local_boot: sanboot
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ironwake import firmware as firmwares
from ironwake.errors import InputError
from ironwake.firmware import Firmware
from ironwake.localboot import LoaderName, Rung
from ironwake.mac import Mac
from ironwake.personality import Personality

_OUI = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){2}")


@dataclass(frozen=True)
class Quirk:
    """For which machines (all that is given must fit), and what is special about them."""

    firmware: str = ""
    oui: str = ""
    label: dict[str, str] = field(default_factory=dict)
    personalities: tuple[Personality, ...] = ()
    loader: LoaderName | None = None
    local_boot: Rung | None = None

    def __post_init__(self) -> None:
        if self.firmware:
            firmwares.find(self.firmware)
        if self.oui and not _OUI.fullmatch(self.oui.lower()):
            raise InputError(
                f"{self.oui!r:.40} is not the beginning of a MAC address",
                "write its first three bytes, as in 00:25:90",
                "oui",
            )
        object.__setattr__(self, "oui", self.oui.lower())

    def fits(self, mac: Mac, firmware: Firmware, labels: dict[str, str]) -> bool:
        """Whether this row is about that machine."""
        return (
            self.firmware in ("", firmware.name)
            and mac.startswith(self.oui)
            and all(labels.get(key) == value for key, value in self.label.items())
        )


@dataclass(frozen=True)
class Quirks:
    """A file of them."""

    quirks: tuple[Quirk, ...] = ()
