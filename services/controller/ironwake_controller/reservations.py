"""Leases to reservations, in the order in which machines came up: which would be written, pure.

A rack that was switched on from the top down gets its addresses in that order, without a list of
MAC addresses: what SystemImager's `si_mkdhcpstatic` did.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from ironwake.errors import RefusedError
from ironwake.ipv4 import Address
from ironwake.lease import Lease
from ironwake.machine import Machine


@dataclass(frozen=True)
class Came:
    """A machine with the lease of one of its cards; `since` orders them."""

    machine: Machine
    lease: Lease


@dataclass(frozen=True)
class Change:
    """The card of a machine gets a reservation; `before` is the one that it has, or ""."""

    machine: str
    mac: str
    before: str
    address: str


def came(machines: Iterable[Machine], leases: Mapping[str, Lease]) -> list[Came]:
    """The machines that have, or had, a lease, in the order in which they came up.

    :param leases: by card; of a machine's cards the first that has one counts
    """
    found = []
    for machine in machines:
        card = next((mac for mac in machine.macs if mac in leases), None)
        if card is not None:
            found.append(Came(machine, leases[card]))
    return sorted(found, key=lambda one: (one.lease.since, one.machine.name))


def as_leased(ordered: Sequence[Came]) -> list[Change]:
    """Each keeps the address that it got; what is reserved already stays as it is."""
    return [
        Change(one.machine.name, one.lease.mac, "", str(one.lease.address))
        for one in ordered
        if one.lease.mac not in one.machine.reservations
    ]


def renumbered(
    ordered: Sequence[Came],
    first: Address,
    taken: Collection[str],
    can_have: Callable[[IPv4Address], bool],
) -> list[Change]:
    """Addresses from `first` on, one after the other, without those that are `taken`.

    RefusedError where the subnet ends before everyone has one (`can_have`).
    """
    changes: list[Change] = []
    number = int(first.ip)
    for one in ordered:
        while str(IPv4Address(number)) in taken:
            number += 1
        if not can_have(IPv4Address(number)):
            raise RefusedError(
                f"from {first} on there is no room for {len(ordered)} machines: "
                f"{one.machine.name} would get {IPv4Address(number)}",
                "begin lower, or choose fewer machines",
                "first",
            )
        mac, address = one.lease.mac, str(IPv4Address(number))
        before = one.machine.reservations.get(mac, "")
        if before != address:
            changes.append(Change(one.machine.name, mac, before, address))
        number += 1
    return changes
