"""Which network card a person means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ironwake.errors import InputError

if TYPE_CHECKING:
    from ironwake_cli.session import Session


def card_of(session: Session, target: str) -> str:
    """The MAC address that is meant: given itself, or the first one of the machine."""
    from ironwake.mac import Mac
    from ironwake_cli.api import segment

    try:
        return str(Mac(target))
    except InputError:
        found: str = session.api.get(f"machines/{segment(target)}")["macs"][0]
        return found
