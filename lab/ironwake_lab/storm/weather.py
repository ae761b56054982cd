"""Weather: what becomes of a frame on the way. Seeded, so that one seed is one run. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass

from ironwake.errors import InputError

_HELD = (0.005, 0.05)  # seconds by which a reordered frame is late: others overtake it


@dataclass(frozen=True)
class Climate:
    """Shares of all frames, both ways, 0.0 to 0.5 each."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0

    def __post_init__(self) -> None:
        for field in ("loss", "duplicate", "reorder"):
            share = getattr(self, field)
            if not 0 <= share <= 0.5:
                raise InputError(
                    f"{field} of {share:.0%} is no weather to boot in", "use 0% to 50%", field
                )

    @property
    def is_clear(self) -> bool:
        return not (self.loss or self.duplicate or self.reorder)


class Weather:
    """Decides frame by frame; counts what it did."""

    def __init__(self, climate: Climate, seed: int) -> None:
        self.climate = climate
        self._chance = random.Random(f"weather {seed}")  # noqa: S311 (no secret)
        self.lost = self.duplicated = self.reordered = 0

    def fate(self) -> tuple[float, ...]:
        """When the next frame arrives: delays in seconds, one for each copy; none: it is lost."""
        climate, draw = self.climate, self._chance.random
        if draw() < climate.loss:
            self.lost += 1
            return ()
        delay = 0.0
        if draw() < climate.reorder:
            self.reordered += 1
            delay = self._chance.uniform(*_HELD)
        if draw() < climate.duplicate:
            self.duplicated += 1
            return delay, delay
        return (delay,)
