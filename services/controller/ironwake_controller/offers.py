"""Which of our offers did the firmware take? Pure.

It does not say so: it asks for its loader. Firmware keeps the offers of one boot (edk2 all of them,
until it has an address), so the last one need not be it. Who asked the boot server on port 4011 has
taken the shape that was in force then; who did not has taken one that named the file itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ironwake.personality import Personality

_BOOT_SERVER = "4011"


def asked_boot_server(offer: Mapping[str, Any]) -> bool:
    """Whether this was our answer on port 4011."""
    return offer.get("port") == _BOOT_SERVER


def taken(offers: Sequence[Mapping[str, Any]]) -> dict[str, Personality]:
    """The firmware's name and the shape that it took, as one pair; empty where it is not known.

    :param offers: what was told of each, the newest first
    """
    known = [offer for offer in offers if _shape(offer) is not None]
    if not known:
        return {}
    newest = known[0]
    if not asked_boot_server(newest):
        firmware = newest.get("firmware")
        same = (offer for offer in known if offer.get("firmware") == firmware)
        newest = next((o for o in same if (s := _shape(o)) and s.names_file), newest)
    shape = _shape(newest)
    return {str(newest.get("firmware", "")): shape} if shape else {}


def _shape(offer: Mapping[str, Any]) -> Personality | None:
    try:
        return Personality(offer.get("personality", ""))
    except ValueError:
        return None
