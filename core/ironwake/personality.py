"""Reply personalities: the shapes of a boot offer, for firmware differs in which ones it takes.

| name | OFFER | port 4011 |
|---|---|---|
| `direct` | boot file, and option 43 `06 01 08 ff`: "load it, ask nobody" | answered, if asked |
| `boot-server` | `PXEClient` and nothing else: "ask me on port 4011" | boot file |
| `menu` | boot file, and in 43 one boot server and a menu of one line, chosen at once | boot file |
| `http` | `HTTPClient` and a URL (UEFI 2.10 §24.7.2) | not asked |

Option 43 is PXE's own list of tags (PXE 2.1 §2.2.3 and table 2-1).
"""

from __future__ import annotations

from enum import StrEnum

from ironwake.errors import InputError
from ironwake.firmware import Firmware, Transport


class Personality(StrEnum):
    DIRECT = "direct"
    BOOT_SERVER = "boot-server"
    MENU = "menu"
    HTTP = "http"

    @property
    def names_file(self) -> bool:
        """Whether the OFFER itself names the boot file, and our address with it.

        A menu's does, for those who come later: edk2 keeps the menu's OFFER as the proxy's and
        what port 4011 said apart from it, and GRUB 2.12 knows the OFFER only. Without our address
        there it ends at its prompt. What port 4011 says to `boot-server` takes the OFFER's place.
        """
        return self is not Personality.BOOT_SERVER


# Tag 6, discovery control: bit 3 is "use the boot file of this very reply".
_SKIP_DISCOVERY = b"\x06\x01\x08"
# Bits 0 and 1: neither broadcast nor multicast, only the servers of tag 8.
_LISTED_ONLY = b"\x06\x01\x03"
# Types from 32768 on are the vendor's own; ours has one layer, 0 (PXE 2.1 table 2-1, tag 71).
_TYPE = b"\x80\x00"
_TITLE = b"Ironwake"
_END = b"\xff"


def option_43(personality: Personality, server: bytes, offer: bool) -> bytes:
    """Option 43 of the reply, "" for none.

    :param server: our IPv4 address, four bytes
    :param offer: an OFFER, else the ACK of the boot server
    """
    match personality, offer:
        case Personality.DIRECT, True:
            return _SKIP_DISCOVERY + _END
        case Personality.MENU, True:
            servers = _TYPE + b"\x01" + server
            line = _TYPE + bytes((len(_TITLE),)) + _TITLE
            prompt = b"\x00" + _TITLE  # chosen after no seconds at all
            return b"".join(
                (
                    _LISTED_ONLY,
                    *(bytes((8, len(servers))), servers),
                    *(bytes((9, len(line))), line),
                    *(bytes((10, len(prompt))), prompt),
                    _END,
                )
            )
        case Personality.MENU, False:
            return b"\x47\x04" + _TYPE + b"\x00\x00" + _END  # tag 71: the item that was chosen
    return b""


def usual(firmware: Firmware) -> tuple[Personality, ...]:
    """What is tried for firmware of which nothing is known, in this order."""
    if firmware.ipxe:
        return (Personality.DIRECT, Personality.BOOT_SERVER)
    if firmware.transport is Transport.HTTP:
        return (Personality.HTTP,)
    return (Personality.DIRECT, Personality.BOOT_SERVER, Personality.MENU)


def order(
    firmware: Firmware, pinned: tuple[Personality, ...], worked: Personality | None
) -> tuple[Personality, ...]:
    """What is tried, one after the other: the pinned ones only, else what worked first.

    Those that mean nothing to this firmware are left out.
    """
    can = usual(firmware)
    only = tuple(one for one in pinned if one in can)
    if only:
        return only
    return (worked, *(one for one in can if one != worked)) if worked in can else can


def find(name: str) -> Personality:
    """By name; InputError with those that there are."""
    try:
        return Personality(name)
    except ValueError:
        known = ", ".join(Personality)
        raise InputError(
            f"there is no reply personality {name!r:.40}", f"known are: {known}", "personalities"
        ) from None
