"""What every power driver is, and the words that go in and come out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from ironwake.errors import RefusedError


class Operation(StrEnum):
    """What a machine can be told by its driver."""

    ON = "on"
    OFF = "off"  # at once, as pulling the plug
    CYCLE = "cycle"  # off and on; a machine that is off is switched on
    STATUS = "status"
    BOOT_NETWORK = "boot-network"  # the next boot, and only that, is from the network


class PowerState(StrEnum):
    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"


def _nobody() -> None:
    raise RefusedError("nobody here can wake a machine", "ask the controller")


@dataclass(frozen=True)
class Target:
    """The machine that is meant. `wake` begins to send magic packets, where that is possible."""

    name: str
    macs: tuple[str, ...]
    wake: Callable[[], None] = _nobody


@dataclass(frozen=True)
class Outcome:
    """How it went, in words; `state` is what was found, not what was asked for."""

    message: str
    state: PowerState = PowerState.UNKNOWN


class Driver(Protocol):
    """One way to switch machines.

    `settings` is a frozen dataclass, which refuses in its own making what can't be right; `secrets`
    names those of its fields that are sealed, and never shown. A `remote` driver talks to something
    that may never answer: it works in a process of its own, which has no more than its time.
    """

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> type[Any]: ...
    @property
    def secrets(self) -> frozenset[str]: ...
    @property
    def remote(self) -> bool: ...

    def can(self, settings: Any, /) -> frozenset[Operation]:
        """What it can do with these settings."""

    def carry_out(self, operation: Operation, settings: Any, target: Target, /) -> Outcome:
        """Do what it can; any IronwakeError says why not."""


def check_can(driver: Driver, settings: Any, operation: Operation, name: str) -> None:
    """RefusedError where the driver can't do that, with what it can."""
    able = driver.can(settings)
    if operation not in able:
        raise RefusedError(
            f"{name} has the power driver {driver.name}, which can't do {operation}",
            f"it can: {listed(able)}; give it another with: ironwake power {name} set",
            "operation",
        )


def listed(operations: Collection[Operation]) -> str:
    """In their usual order, or "nothing"."""
    return ", ".join(one for one in Operation if one in operations) or "nothing"
