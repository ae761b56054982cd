"""The steps of an installation, and how much of the whole each of them is."""

from __future__ import annotations

from enum import StrEnum


class Step(StrEnum):
    PARTITIONING = "partitioning"
    FORMATTING = "formatting"
    UNPACKING = "unpacking"
    CONFIGURING = "configuring"
    BOOT_LOADER = "boot loader"


# Percent of the whole at which each step begins: from watching installations.
_BEGINS: dict[Step, float] = {
    Step.PARTITIONING: 0,
    Step.FORMATTING: 3,
    Step.UNPACKING: 6,
    Step.CONFIGURING: 85,
    Step.BOOT_LOADER: 89,
}
_END = 99.0  # the hundredth is the appliance's: it has heard that all is done


class Percent:
    """Percent of the whole installation: never less than before."""

    def __init__(self) -> None:
        self._last = 0.0

    def at(self, step: Step, fraction: float = 0.0) -> float:
        """Percent, 0 to 99, when `fraction` (0.0 to 1.0) of a step is done."""
        steps = list(_BEGINS)
        position = steps.index(step)
        begin = _BEGINS[step]
        end = _BEGINS[steps[position + 1]] if position + 1 < len(steps) else _END
        now = begin + (end - begin) * min(max(fraction, 0.0), 1.0)
        self._last = max(self._last, round(now, 1))
        return self._last
