"""What a BMC of a test switches on and off."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Switched(Protocol):
    """What a BMC switches: `ironwake_lab.Machine`, or a `Plug`."""

    @property
    def name(self) -> str: ...
    @property
    def is_on(self) -> bool: ...
    def power_on(self) -> bool: ...
    def power_off(self) -> bool: ...
    def boot_once_from_network(self) -> None: ...


@dataclass
class Plug:
    """Remembers what was done to it."""

    name: str = "node1"
    is_on: bool = False
    deeds: list[str] = field(default_factory=list)

    def power_on(self) -> bool:
        self.deeds.append("on")
        self.is_on = True
        return True

    def boot_once_from_network(self) -> None:
        """Of a plug nobody boots."""

    def power_off(self) -> bool:
        self.deeds.append("off")
        self.is_on = False
        return True
