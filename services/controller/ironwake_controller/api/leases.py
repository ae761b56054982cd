"""`/v1/leases`: who has which address, and making reservations of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from ironwake.errors import InputError, RefusedError, UnknownError
from ironwake.ipv4 import Address, Network
from ironwake.lease import Lease, in_order
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake_controller import enrolment, reservations
from ironwake_controller.api.lease_shapes import (
    LeasePage,
    LeaseShape,
    ReservationChange,
    ReservationPage,
    ReservationWish,
)
from ironwake_controller.house import House
from ironwake_controller.reservations import Change
from ironwake_controller.store import leases, machines
from ironwake_runtime import clock

Limit = Annotated[int, Query(ge=1, le=1000, description="items on a page")]


def routes(house: House) -> APIRouter:
    """The routes of this noun."""
    router = APIRouter(prefix="/v1/leases", tags=["leases"])

    @router.get("")
    def listing(
        subnet: Annotated[str, Query(description="such as 192.0.2.0/24")] = "",
        mac: Annotated[str, Query(description="in any notation")] = "",
        machine: Annotated[str, Query(description="its name")] = "",
        after: Annotated[str, Query(description="the `next` of the page before")] = "",
        limit: Limit = 200,
    ) -> LeasePage:
        """Leases by address, also those that ran out."""
        wanted = str(Mac(mac)) if mac else ""
        network = str(Network(subnet)) if subnet else ""
        start = in_order(Address(after)) if after else -1
        now = clock.now(house.store.clock)
        with house.store.read() as connection:
            known = [there.machine for there in machines.every(connection)]
            found = leases.every(connection, now)
        owners = {str(card): one for one in known for card in one.macs}
        items = [
            _show(item, owners.get(item.mac), now.wall)
            for item in found
            if in_order(item.address) > start
            and wanted in ("", item.mac)
            and network in ("", item.subnet)
            and machine in ("", _named(owners.get(item.mac)))
        ]
        page = items[:limit]
        return LeasePage(items=page, next=page[-1].address if len(items) > limit else None)

    @router.post("/reserve")
    def reserve(body: ReservationWish) -> ReservationPage:
        """What would become of the machines' leases as reservations; with `write`, it does."""
        changes = _changes(house, body)
        if body.write:
            site = house.policy().site
            enrolment.reserve(house.store, {c.mac: c.address for c in changes}, site)
        shown = [
            ReservationChange(
                machine=one.machine, mac=one.mac, before=one.before or None, address=one.address
            )
            for one in changes
        ]
        return ReservationPage(items=shown, written=body.write)

    return router


def _changes(house: House, wish: ReservationWish) -> list[Change]:
    if bool(wish.machines) == wish.all:
        raise InputError("name machines, or all of them", "give machines, or all", "machines")
    now = clock.now(house.store.clock)
    with house.store.read() as connection:
        every = [there.machine for there in machines.every(connection)]
        found = leases.every(connection, now)
    chosen = _chosen(every, wish.machines)
    # A card may have had several: the newest is where it is.
    by_card = {lease.mac: lease for lease in sorted(found, key=lambda one: one.expires)}
    by_card.pop("", None)
    ordered = reservations.came(chosen, by_card)
    missing = {str(one.name) for one in chosen} - {str(one.machine.name) for one in ordered}
    if wish.machines and missing:
        raise RefusedError(
            f"{' and '.join(sorted(missing))} never had a lease",
            "switch it on once, or name its address: ironwake machine set --reserve",
            "machines",
        )
    if not wish.first:
        return reservations.as_leased(ordered)
    first = Address(wish.first)
    site = house.policy().site
    others = [one for one in every if one not in chosen]
    cards = {one.lease.mac for one in ordered}
    taken = {address for one in others for address in one.reservations.values()}
    taken |= {str(one.address) for one in found if one.expires > now.wall and one.mac not in cards}
    taken |= site.nobodys.keys()
    network = site.network_of(first)
    if network is None:
        raise UnknownError(f"{first} is in none of our subnets", "name one inside", "first")
    edges = (network.network_address, network.broadcast_address)
    return reservations.renumbered(
        ordered, first, taken, lambda address: address in network and address not in edges
    )


def _chosen(every: list[Machine], names: list[str]) -> list[Machine]:
    known = {str(one.name) for one in every}
    for name in names:
        if name not in known:
            raise UnknownError(
                f"no machine {name!r:.80} is enrolled",
                "see: ironwake machine list",
                "machines",
            )
    return [one for one in every if not names or one.name in names]


def _named(machine: Machine | None) -> str:
    return str(machine.name) if machine else ""


def _show(item: Lease, owner: Machine | None, now: float) -> LeaseShape:
    over = item.expires <= now
    return LeaseShape(
        address=str(item.address),
        mac=item.mac or None,
        machine=_named(owner) or None,
        hostname=item.hostname,
        subnet=item.subnet,
        state="over" if over else "live" if item.mac else "in use by a stranger",
        reserved=owner is not None and owner.reservations.get(item.mac) == item.address,
        expires=_text(item.expires),
        first_seen=_text(item.since),
    )


def _text(seconds: float) -> str:
    return clock.text(datetime.fromtimestamp(seconds, UTC))
