"""Which machines there are: enrol, change, lock, remove."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address
from typing import Any

from sqlalchemy import Connection

from ironwake import wire
from ironwake.errors import InputError, RefusedError, UnknownError
from ironwake.lifecycle import BOOTABLE
from ironwake.mac import Mac
from ironwake.machine import Machine, MachineUuid
from ironwake.site import Site
from ironwake_controller import identity
from ironwake_controller.store import deployments, events, machines
from ironwake_controller.store.events import Event
from ironwake_controller.store.machines import Enrolled
from ironwake_controller.store.store import Store, Tx


def find(connection: Connection, name: str) -> Enrolled:
    """By name, or by any of its MAC addresses in any notation. UnknownError where there is none."""
    found = machines.by_name(connection, name)
    if found is None:
        try:
            found = machines.by_mac(connection, Mac(name))
        except InputError:
            found = None
    if found is None:
        raise UnknownError(
            f"no machine {name!r:.80} is enrolled", "enrol it first: ironwake enroll", "machine"
        )
    return found


def enrol(store: Store, machine: Machine, given: set[str], site: Site) -> tuple[str, bool]:
    """Take a machine in; its name, and whether it is new. The same again changes nothing.

    :param given: the fields that the caller named: only those are compared with what is there
    :raises RefusedError: another content under this name, or a card of another machine
    """
    with store.write() as tx:
        there = machines.by_name(tx.connection, machine.name)
        if there is not None:
            differing = _differing(there.machine, machine, given)
            if differing:
                raise RefusedError(
                    f"{machine.name} is enrolled already, with another {' and '.join(differing)}",
                    f"change it with PATCH /v1/machines/{machine.name}",
                    differing[0],
                )
            return machine.name, False
        _check_cards(tx, machine)
        _check_reservations(tx, [machine], site)
        machines.add(tx, machine)
        _tell(tx, "enrolled", machine)
    return machine.name, True


def change(store: Store, name: str, values: dict[str, Any], site: Site) -> str:
    """Change the fields that are given; the machine's name.

    :raises RefusedError: the cards of a machine that is being deployed, or another machine's card
    """
    with store.write() as tx:
        there = find(tx.connection, name)
        merged = wire.load(Machine, {**wire.dump(there.machine), **values})
        if merged == there.machine:
            return merged.name
        if merged.macs != there.machine.macs:
            _check_idle(tx, there, "its MAC addresses can't be changed")
            _check_cards(tx, merged)
        if merged.reservations != there.machine.reservations:
            _check_reservations(tx, [merged], site)
        machines.replace(tx, there.id, merged)
        _tell(tx, "changed", merged)
    return merged.name


def reserve(store: Store, wanted: dict[str, str], site: Site) -> None:
    """Give these cards these addresses, all of them or none.

    :param wanted: card to address
    :raises RefusedError: an address is another machine's, or the appliance's
    """
    with store.write() as tx:
        changed = []
        for there in machines.every(tx.connection):
            own = {str(mac): wanted[mac] for mac in there.machine.macs if mac in wanted}
            if own:
                merged = {**there.machine.reservations, **own}
                changed.append((there.id, dataclasses.replace(there.machine, reservations=merged)))
        _check_reservations(tx, [machine for _, machine in changed], site)
        for number, machine in changed:
            machines.replace(tx, number, machine)
            _tell(tx, "changed", machine)


def lock(store: Store, name: str, locked: bool) -> str:
    """Lock it (it is offered nothing, and can't be deployed) or unlock it; the machine's name."""
    with store.write() as tx:
        there = find(tx.connection, name)
        if there.machine.locked is not locked:
            machine = dataclasses.replace(there.machine, locked=locked)
            machines.replace(tx, there.id, machine)
            tx.disarm()
            _tell(tx, "locked" if locked else "unlocked", machine)
    return there.machine.name


def confirm(store: Store, name: str, uuid: str = "") -> str:
    """Take the UUID that was seen last for the machine's own; the machine's name.

    A deployment that this UUID held back goes on. RefusedError where none was seen, or another one
    than `uuid`, which the person has looked at.
    """
    with store.write() as tx:
        there = find(tx.connection, name)
        seen = there.memory.seen_uuid
        if not seen:
            raise RefusedError(
                f"{there.machine.name} has shown no other UUID than its own",
                "confirm it after it was switched on, and an alarm came",
                "uuid",
            )
        if uuid and not MachineUuid(uuid).is_same(seen):
            raise RefusedError(
                f"{there.machine.name} has shown {seen} last, and not {uuid}",
                "look again whose it is: two machines may have this card",
                "uuid",
            )
        machine = there.machine
        if machine.uuid:
            machine = dataclasses.replace(machine, uuid=seen)
            machines.replace(tx, there.id, machine)
        memory = dataclasses.replace(there.memory, uuid=seen, seen_uuid="")
        machines.remember(tx, there, memory)
        record = deployments.latest(tx.connection, there.id)
        if record is not None and record.state in BOOTABLE:
            held = record.held if identity.is_serial(record.held) else ""
            deployments.change(tx, record, uuid=seen, held=held)
        tx.touch()
        _tell(tx, "changed", machine)
    return there.machine.name


def remove(store: Store, name: str) -> None:
    """Forget a machine; its history stays. RefusedError while it is being deployed."""
    with store.write() as tx:
        there = find(tx.connection, name)
        _check_idle(tx, there, "it can't be removed")
        machines.remove(tx, there.id)
        events.add(tx, Event("removed", there.machine.name, message="removed"))


def _differing(old: Machine, new: Machine, given: set[str]) -> list[str]:
    before, after = wire.dump(old), wire.dump(new)
    return [field for field in before if field in given and before[field] != after[field]]


def _check_cards(tx: Tx, machine: Machine) -> None:
    for mac in machine.macs:
        other = machines.by_mac(tx.connection, mac)
        if other is not None and other.machine.name != machine.name:
            raise RefusedError(
                f"{mac} belongs to {other.machine.name}",
                f"see: ironwake machine show {other.machine.name}",
                "macs",
            )


def _check_reservations(tx: Tx, changed: list[Machine], site: Site) -> None:
    """Each address is one machine's, in a network that we serve, and no router's nor our own."""
    if not any(machine.reservations for machine in changed):
        return  # nothing to compare all others with
    names = {machine.name for machine in changed}
    others = [there.machine for there in machines.every(tx.connection)]
    taken = {
        address: machine.name
        for machine in others
        if machine.name not in names
        for address in machine.reservations.values()
    }
    nobodys = site.nobodys
    for machine in changed:
        for address in machine.reservations.values():
            owner = nobodys.get(address) or taken.get(address)
            if owner is not None:
                raise RefusedError(
                    f"{address} belongs to {owner}", "reserve another one", "reservations"
                )
            taken[address] = machine.name
            _check_network(address, site)


def _check_network(address: str, site: Site) -> None:
    network = site.network_of(address)
    if network is None and site.proxy:
        return  # the server beside us may serve more networks than we know
    edges = (network.network_address, network.broadcast_address) if network else ()
    if network is None or IPv4Address(address) in edges:
        known = ", ".join(str(one) for one in site.networks)
        raise RefusedError(
            f"{address} is no host's address in the networks that we serve",
            f"name one in {known}",
            "reservations",
        )


def _check_idle(tx: Tx, there: Enrolled, consequence: str) -> None:
    record = deployments.live_of(tx.connection, there.id)
    if record is not None:
        raise RefusedError(
            f"{there.machine.name} has deployment {record.id}, which is {record.state}: "
            f"{consequence}",
            f"wait for its end, or: ironwake cancel {record.id}",
        )


def _tell(tx: Tx, kind: str, machine: Machine) -> None:
    detail = {"machine": wire.dump(machine)}
    events.add(tx, Event(kind, machine.name, message=kind, detail=detail))
