"""Who believes to have which address, as clients were told: kept by the test itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address

from ironwake.mac import Mac


@dataclass(frozen=True)
class Held:
    """`until` by the client's own clock, which nobody turns."""

    mac: Mac
    until: float


@dataclass
class Addresses:
    """`last`: what each client had last; it may ask for that again."""

    held: dict[IPv4Address, Held] = field(default_factory=dict)
    last: dict[Mac, IPv4Address] = field(default_factory=dict)

    def give(self, mac: Mac, address: IPv4Address, seconds: int, now: float) -> None:
        """It was acknowledged. AssertionError where another client has it still."""
        before = self.held.get(address)
        other = before is not None and before.mac != mac and before.until > now
        assert not other, f"{address} was given to {mac}, and {before} has it at {now}"
        self.drop(mac)
        self.held[address] = Held(mac, now + seconds)
        self.last[mac] = address

    def drop(self, mac: Mac) -> None:
        """It uses none any more."""
        self.held = {address: held for address, held in self.held.items() if held.mac != mac}

    def forget(self) -> None:
        """Nobody can tell any more who has what."""
        self.held.clear()

    def of(self, mac: Mac, now: float) -> IPv4Address | None:
        """The address that it has."""
        own = (address for address, held in self.held.items() if held.mac == mac)
        return next((one for one in own if self.held[one].until > now), None)
