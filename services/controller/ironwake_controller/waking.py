"""Wake-on-LAN: when to send the next magic packet to whom, and the sending itself.

Only for a machine that was armed, or that a person asked to wake. Repeated with pauses that grow,
until the machine is seen awake or its deadline passes: a packet is lost easily, and the network
card of a machine that is just shutting down hears none.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

import wakeonlan

from ironwake.errors import BrokenError
from ironwake.mac import Mac
from ironwake.site import Site
from ironwake_controller.bell import Bell

PAUSES = (2.0, 4.0, 8.0, 15.0, 30.0)  # seconds between packets, the last one again and again
_RATE = 20  # packets in one round, for all machines: power supplies and breakers have limits


@dataclass
class _Sleeper:
    mac: Mac
    due: float
    until: float
    deployment: str
    sent: int = 0


@dataclass(frozen=True)
class Packet:
    """One to send now; `number` counts those to this machine.

    `deployment` is what it shall wake for, "" where a person asked for the waking itself.
    """

    machine_id: int
    mac: Mac
    number: int
    deployment: str


class Waker:
    """Who is being woken. Times are monotonic seconds; from any thread."""

    def __init__(self) -> None:
        self.bell = Bell()  # rings when there is somebody to wake
        self._lock = threading.Lock()
        self._sleepers: dict[int, _Sleeper] = {}

    def begin(
        self, machine_id: int, mac: Mac, now: float, until: float, deployment: str = ""
    ) -> None:
        """Wake this machine from now on, until `until` at most; anew if it is being woken."""
        with self._lock:
            self._sleepers[machine_id] = _Sleeper(mac, now, until, deployment)
        self.bell.ring()

    def stop(self, machine_id: int) -> None:
        """It is awake, or shall not wake any more."""
        with self._lock:
            self._sleepers.pop(machine_id, None)

    def due(self, now: float) -> tuple[Packet, ...]:
        """The packets of this round; those that wait longest first."""
        with self._lock:
            for number in [n for n, s in self._sleepers.items() if now >= s.until]:
                del self._sleepers[number]
            ready = sorted(
                ((s.due, number) for number, s in self._sleepers.items() if now >= s.due)
            )
            return tuple(self._send(number, now) for _, number in ready[:_RATE])

    def _send(self, number: int, now: float) -> Packet:
        sleeper = self._sleepers[number]
        sleeper.due = now + PAUSES[min(sleeper.sent, len(PAUSES) - 1)]
        sleeper.sent += 1
        return Packet(number, sleeper.mac, sleeper.sent, sleeper.deployment)


Send = Callable[[Mac], None]


def sender(site: Callable[[], Site]) -> Send:
    """Sends by UDP port 9 to the broadcast address of the machines' network, from our own there."""

    def send(mac: Mac) -> None:
        here = site()
        try:
            wakeonlan.wake(
                str(mac),
                host=broadcast(here),
                interface=here.address,
                family=socket.AF_INET,
            )
        except OSError as error:
            raise BrokenError(
                f"the magic packet for {mac} can't be sent from {here.address}: {error.strerror}",
                "see that IRONWAKE_INTERFACE is up and has this address",
            ) from error

    return send


def broadcast(site: Site) -> str:
    """The broadcast address of the machines' network."""
    network = ipaddress.IPv4Network(f"{site.address}/{site.prefix}", strict=False)
    return str(network.broadcast_address)
