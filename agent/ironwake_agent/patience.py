"""How long to go on asking, and how often: the clock and the pause are passed in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_FIRST, _LONGEST = 0.5, 10.0


@dataclass(frozen=True)
class Patience:
    """`seconds` in all; `clock` gives seconds, `pause` waits for some."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    def start(self) -> Waiting:
        return Waiting(self, self.clock() + self.seconds, _FIRST)


@dataclass
class Waiting:
    """One wait: pauses double up to ten seconds."""

    patience: Patience
    until: float
    step: float

    def again(self) -> bool:
        """Pause; False, without a pause, once the time is up."""
        if self.patience.clock() >= self.until:
            return False
        self.patience.pause(self.step)
        self.step = min(self.step * 2, _LONGEST)
        return True

    def progress(self) -> None:
        """Something came: the whole patience starts again."""
        self.until = self.patience.clock() + self.patience.seconds
        self.step = _FIRST
