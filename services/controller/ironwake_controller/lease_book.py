"""The book of leases, as told: what changes names goes to the data plane, the rest is only kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ironwake.errors import InputError
from ironwake.lease import Lease, Leases, Lent, in_order
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.moment import Moment
from ironwake_controller.store import addresses, leases, machines
from ironwake_controller.store.store import Store, Tx
from ironwake_runtime import clock


class LeaseBook:
    """`take` commits what the dhcp service tells; `has_ended` notices whose time is over."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looked = self._now()

    def take(self, news: Leases) -> None:
        """Commit them. InputError for what can't be right."""
        whole = _range(news)
        with self._store.write() as tx:
            now = tx.moment.wall
            after = {item.address: _dated(item, now - news.now) for item in news.items}
            for item in after.values():
                _check(item)
            before = self._known(tx, news, whole)
            leases.drop(tx, before.keys() - after.keys())
            leases.put(tx, list(after.values()))
            for address, item in after.items():
                if _name(item, now) is not None:
                    _learn(tx, item)
                if _name(before.get(address), now) != _name(item, now):
                    tx.touch()
            if any(_name(before[gone], now) for gone in before.keys() - after.keys()):
                tx.touch()

    def has_ended(self) -> bool:
        """Whether a lease has run out since it was last looked: its name goes."""
        now, before = self._now(), self._looked
        with self._store.read() as connection:
            over = any(
                item.mac and now.date(before.steady) < item.expires <= now.wall
                for item in leases.every(connection, now)
            )
        self._looked = now
        return over

    def _known(self, tx: Tx, news: Leases, whole: range | None) -> dict[str, Lease]:
        """What is known of these addresses, and of all in the range that `news` is whole for."""
        if whole is None:
            return leases.some(tx.connection, [item.address for item in news.items], tx.moment)
        every = leases.every(tx.connection, tx.moment)
        return {item.address: item for item in every if in_order(item.address) in whole}

    def _now(self) -> Moment:
        return clock.now(self._store.clock)


def lent(live: Sequence[Lease]) -> tuple[Lent, ...]:
    """For the view; who came first stands first."""
    return tuple(Lent(item.address, item.mac, item.hostname) for item in live)


def address_of(machine: Machine, held: Mapping[str, str], learned: str, *, serves: bool) -> str:
    """Where the machine is, or will be: "" where nobody can know.

    :param held: card to address, of all clients that have one of ours now
    :param serves: we give the addresses: then a reservation is more than what was once seen
    """
    now = [held[mac] for mac in machine.macs if mac in held]
    if now:
        return learned if learned in now else now[0]
    reserved = [machine.reservations[mac] for mac in machine.macs if mac in machine.reservations]
    known = (*reserved, learned) if serves else (learned, *reserved)
    return next((address for address in known if address), "")


# Seconds between the teller's clock and ours that are no matter; dates shall not tremble.
_OFF = 60.0
_END_OF_TIME = 253_402_300_799  # the last second of year 9999, which dates end with


def _check(item: Lease) -> None:
    if item.mac:
        Mac(item.mac)
    if not all(0 <= moment < _END_OF_TIME for moment in (item.since, item.expires)):
        raise InputError(
            f"{item.address} can't have been leased since {item.since:g} until {item.expires:g}",
            "give both in seconds since 1970",
            "items",
        )


def _dated(item: Lease, off: float) -> Lease:
    """By our clock; the teller's was behind by `off` seconds, the time on the way among them."""
    if abs(off) < _OFF:
        return item
    return replace(item, expires=max(item.expires + off, 0.0), since=max(item.since + off, 0.0))


def _range(news: Leases) -> range | None:
    """The addresses that `news` is whole for, as numbers; None where it is a part."""
    if not news.first and not news.last:
        return None
    try:
        first, last = in_order(news.first), in_order(news.last)
        if first <= last:
            return range(first, last + 1)
    except ValueError:
        pass
    raise InputError(
        f"from {news.first!r:.60} to {news.last!r:.60} is no range of addresses",
        "give its first and its last address, or neither",
        "first",
    )


def _name(item: Lease | None, now: float) -> tuple[str, str] | None:
    """What a name is made of; None while the address is nobody's."""
    if item is None or not item.mac or item.expires <= now:
        return None
    return item.mac, item.hostname


def _learn(tx: Tx, item: Lease) -> None:
    """A machine is at its lease; and whoever was seen there before is not."""
    if machines.by_mac(tx.connection, Mac(item.mac)) is not None:
        addresses.learn(tx, Mac(item.mac), item.address)
    else:
        addresses.vacate(tx, item.address)
