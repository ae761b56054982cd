"""`none`: nothing can switch this machine, a person does."""

from __future__ import annotations

from dataclasses import dataclass

from ironwake_controller.power.driver import Operation, Outcome, Target, check_can


@dataclass(frozen=True)
class Settings:
    """There are none."""


class NoDriver:
    """For machines that somebody has to walk to."""

    name = "none"
    settings = Settings
    secrets: frozenset[str] = frozenset()
    remote = False

    def can(self, settings: Settings) -> frozenset[Operation]:  # noqa: ARG002 (a `Driver`)
        return frozenset()

    def carry_out(self, operation: Operation, settings: Settings, target: Target) -> Outcome:
        check_can(self, settings, operation, target.name)
        raise AssertionError("it can do nothing")
