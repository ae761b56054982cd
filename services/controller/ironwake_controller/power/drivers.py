"""All the drivers that there are, and how their settings are read and shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ironwake import wire
from ironwake.errors import InputError
from ironwake_controller.power.driver import Driver
from ironwake_controller.power.ipmi import Ipmi
from ironwake_controller.power.none import NoDriver
from ironwake_controller.power.redfish import Redfish
from ironwake_controller.power.webhook import Webhook
from ironwake_controller.power.wol import WakeOnLan

DRIVERS: tuple[Driver, ...] = (WakeOnLan(), Redfish(), Ipmi(), Webhook(), NoDriver())
BY_NAME = {driver.name: driver for driver in DRIVERS}
DEFAULT = BY_NAME["wol"]
SET = "set"  # stands for a secret wherever settings are shown


def find(name: str) -> Driver:
    """InputError with those that there are."""
    if name not in BY_NAME:
        raise InputError(
            f"there is no power driver {name!r:.40}", f"known are: {', '.join(BY_NAME)}", "driver"
        )
    return BY_NAME[name]


def read(driver: Driver, given: Mapping[str, Any]) -> Any:
    """Its settings from plain data; InputError names the field, and never tells a secret."""
    for field in dataclasses.fields(driver.settings):
        if field.name in driver.secrets and field.name in given:
            _check_secret(field, given[field.name])
    return wire.load(driver.settings, dict(given))


def _check_secret(field: dataclasses.Field[Any], value: Any) -> None:
    """Before anybody looks at it who would tell what is wrong with it, word for word."""
    if field.default_factory is dict:
        good = isinstance(value, Mapping) and all(isinstance(one, str) for one in value.values())
    else:
        good = isinstance(value, str)
    if not good:
        kind = "an object of texts" if field.default_factory is dict else "text"
        raise InputError(f"{kind} is wanted here", where=field.name)


def shown(driver: Driver, settings: Any) -> dict[str, Any]:
    """What may be seen: those that differ from what is usual, secrets as the word `set`."""
    usual = {
        field.name: wire.dump(field.default)
        for field in dataclasses.fields(driver.settings)
        if field.default is not dataclasses.MISSING
    }
    plain = wire.dump(settings)
    return {
        name: SET if name in driver.secrets else value
        for name, value in plain.items()
        if value not in ("", None, [], {}) and value != usual.get(name)
    }


def secret_words(driver: Driver, plain: Mapping[str, Any]) -> tuple[str, ...]:
    """Every text in the secret fields, the longest first."""
    found = {word for name in driver.secrets for word in _texts(plain.get(name))}
    return tuple(sorted(found, key=len, reverse=True))


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [word for item in value.values() for word in _texts(item)]
    return [value] if isinstance(value, str) and value else []
