"""What was seen lately, in memory: after a restart it is seen again, or was not so recent."""

from __future__ import annotations

from dataclasses import dataclass, field

from ironwake_controller.boots import Boots
from ironwake_controller.foreign import Foreign
from ironwake_controller.pulse import Pulse


@dataclass(frozen=True)
class Recent:
    """Signs of life and boots of deployments, and the other servers of the network."""

    boots: Boots
    pulse: Pulse = field(default_factory=Pulse)
    foreign: Foreign = field(default_factory=Foreign)

    def keep(self, live: set[str]) -> None:
        """Forget all deployments but these."""
        self.pulse.keep(live)
        self.boots.keep(live)
