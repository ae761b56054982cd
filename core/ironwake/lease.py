"""Leases as they travel: from the dhcp service to the controller, and to whoever gives names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from ironwake.errors import InputError
from ironwake.ipv4 import Address
from ironwake.mac import Mac


@dataclass(frozen=True)
class Lease:
    """`address` is, or was, the client's with card `mac` until `expires` (seconds since 1970).

    `mac` "" marks an address that somebody uses without having asked. `hostname` is the client's
    word for itself, made a DNS label, or "". `since`: when this card first had an address of
    `subnet`, in seconds since 1970.
    """

    address: Address
    mac: str
    subnet: str
    expires: float
    hostname: str = ""
    since: float = 0.0


@dataclass(frozen=True)
class Leases:
    """News of the book of leases, told when the teller's clock says `now` (seconds since 1970).

    Where `first` is not "", `items` are all leases from the address `first` to `last`, both in it:
    whatever else was known there is no more.
    """

    items: tuple[Lease, ...]
    now: float
    first: str = ""
    last: str = ""


@dataclass(frozen=True)
class Lent:
    """An address that a client has now; `hostname` as in `Lease`."""

    address: Address
    mac: str
    hostname: str = ""


def check_reservations(reservations: Mapping[str, str], macs: tuple[Mac, ...]) -> dict[str, str]:
    """Card to address, both in their one spelling.

    :raises InputError: a card that is none of `macs`, or an address that is given twice
    """
    checked: dict[str, str] = {}
    for card, address in reservations.items():
        mac = Mac(card)
        if mac not in macs:
            raise InputError(
                f"{mac} is no card of this machine", "name one of its MAC addresses", "reservations"
            )
        checked[str(mac)] = str(Address(address))
    if len(set(checked.values())) != len(checked):
        raise InputError(
            "the same address is reserved for two cards", "give each its own", "reservations"
        )
    return checked


def in_order(address: str) -> int:
    """A key that sorts addresses as numbers."""
    return int(IPv4Address(address))
