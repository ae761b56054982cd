"""Each machine's power driver and its settings, as the store keeps them: secrets sealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from ironwake import wire
from ironwake_controller.power import drivers
from ironwake_controller.power.driver import Driver
from ironwake_controller.safe import Safe
from ironwake_controller.store import machines
from ironwake_controller.store.machines import Enrolled
from ironwake_controller.store.store import Tx


@dataclass(frozen=True)
class Equipped:
    """What switches a machine; `settings` is of the driver's own kind, with plain secrets."""

    driver: Driver
    settings: Any

    def __repr__(self) -> str:
        return f"Equipped({self.driver.name})"  # nothing that could be sealed


def of(connection: Connection, safe: Safe, there: Enrolled) -> Equipped:
    """Wake-on-LAN for machines that were given nothing else.

    BrokenError where the secrets can't be opened.
    """
    row = machines.power(connection, there.id)
    if row is None:
        return Equipped(drivers.DEFAULT, drivers.DEFAULT.settings())
    driver = drivers.find(row["driver"])
    secrets = safe.open(row["sealed"], there.machine.name, _again(there)) if row["sealed"] else {}
    return Equipped(driver, drivers.read(driver, {**row["settings"], **secrets}))


def keep(tx: Tx, safe: Safe, there: Enrolled, driver: Driver, given: Mapping[str, Any]) -> Equipped:
    """From now on this, and nothing of what was before.

    Secrets that are not given anew are gone: else whoever changes the address would have them sent
    there. InputError names the field that is wrong.
    """
    settings = drivers.read(driver, given)
    plain = wire.dump(settings)
    secrets = {name: plain.pop(name) for name in driver.secrets}
    sealed = safe.seal(secrets, there.machine.name) if any(secrets.values()) else ""
    row = {"driver": driver.name, "settings": plain, "sealed": sealed}
    machines.set_power(tx, there.id, row)
    return Equipped(driver, settings)


def _again(there: Enrolled) -> str:
    return f", or set them again: ironwake power {there.machine.name} set"
