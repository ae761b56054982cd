"""Wake-on-LAN: when it is whose turn to be woken, and the sending of the magic packets.

Only for a machine that was armed, or that a person asked to wake. Repeated with pauses that grow,
until the machine is seen awake or its deadline passes: a packet is lost easily, and the network
card of a machine that is just shutting down hears none.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import wakeonlan

from ironwake.errors import BrokenError, InputError
from ironwake.mac import Mac
from ironwake.site import Site
from ironwake_controller.bell import Bell
from ironwake_runtime import interfaces

PAUSES = (2.0, 4.0, 8.0, 15.0, 30.0)  # seconds between packets, the last one again and again
_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*")


@dataclass
class _Sleeper:
    due: float
    until: float
    deployment: str
    sent: int = 0


@dataclass(frozen=True)
class Turn:
    """A machine's turn to be woken, now; `number` counts those of this machine.

    `deployment` is what it shall wake for, "" where a person asked for the waking itself.
    """

    machine_id: int
    number: int
    deployment: str


class Waker:
    """Who is being woken. Times are monotonic seconds; from any thread.

    :param rate: machines per second, at most, for all together. Machines that start at the same
        moment draw several times their power: supplies and breakers have limits.
    """

    def __init__(self, rate: float) -> None:
        self.bell = Bell()  # rings when there is somebody to wake
        self._spacing = 1.0 / rate
        self._free = float("-inf")  # before then it is nobody's turn
        self._lock = threading.Lock()
        self._sleepers: dict[int, _Sleeper] = {}

    def begin(self, machine_id: int, now: float, until: float, deployment: str = "") -> None:
        """Wake this machine from now on, until `until` at most; anew if it is being woken."""
        with self._lock:
            self._sleepers[machine_id] = _Sleeper(now, until, deployment)
        self.bell.ring()

    def stop(self, machine_id: int) -> None:
        """It is awake, or shall not wake any more."""
        with self._lock:
            self._sleepers.pop(machine_id, None)

    def due(self, now: float) -> Turn | None:
        """Whose turn it is: who waits longest; nobody's, sooner than the rate allows."""
        with self._lock:
            for number in [n for n, s in self._sleepers.items() if now >= s.until]:
                del self._sleepers[number]
            ready = [(s.due, number) for number, s in self._sleepers.items() if now >= s.due]
            if not ready or now < self._free:
                return None
            # From now, not from when it was due: a late round must not send the missed ones at once
            self._free = now + self._spacing
            return self._take(min(ready)[1], now)

    def _take(self, number: int, now: float) -> Turn:
        sleeper = self._sleepers[number]
        sleeper.due = now + PAUSES[min(sleeper.sent, len(PAUSES) - 1)]
        sleeper.sent += 1
        return Turn(number, sleeper.sent, sleeper.deployment)

    def rest(self, now: float) -> float:
        """Seconds until it may be somebody's turn; infinite while nobody is being woken."""
        with self._lock:
            first = min((s.due for s in self._sleepers.values()), default=float("inf"))
        return max(0.0, first - now, self._free - now)


@dataclass(frozen=True)
class Magic:
    """What is sent in one turn: a packet for each card of a machine, to each place.

    `targets` are the machine's own, besides those of all; `secureon` is 12 hexadecimal digits or
    "", `interface` where its network is, "" for where all machines are.
    """

    macs: tuple[Mac, ...]
    targets: tuple[str, ...] = ()
    interface: str = ""
    secureon: str = ""


Send = Callable[[Magic], None]


def sender(site: Callable[[], Site], targets: Sequence[str]) -> Send:
    """Sends by UDP port 9 to the broadcast address of the machine's network, from our own there.

    And to `targets` and the machine's own, by whichever way they are reached. One place that can't
    be reached takes nothing from the others; the error names all such.
    """

    def send(magic: Magic) -> None:
        wrong = []
        places: dict[str, str | None] = dict.fromkeys((*targets, *magic.targets))
        try:
            places |= _own(site(), magic)
        except InputError as error:
            wrong.append(f"by its own interface: {error.what}")
        for host, source in places.items():
            try:
                _send(magic, host, source)
            except OSError as error:
                origin = f" from {source}" if source else ""
                wrong.append(f"to {host}{origin}: {error.strerror or error}")
        if wrong:
            raise BrokenError(
                f"the magic packet for {magic.macs[0]} can't be sent {'; '.join(wrong)}",
                "see that IRONWAKE_INTERFACE is up and has this address, IRONWAKE_WAKE_TARGETS, "
                "and the machine's own targets and interface",
            )

    return send


def _send(magic: Magic, host: str, source: str | None) -> None:
    for mac in magic.macs:
        word = f"{mac}/{magic.secureon}" if magic.secureon else str(mac)
        # A socket for each: a host that refuses port 9 (ICMP) breaks the second sending of one.
        wakeonlan.wake(word, host=host, interface=source, family=socket.AF_INET)


def _own(site: Site, magic: Magic) -> dict[str, str]:
    """The broadcast address of the machine's network, and our address there to send from."""
    if magic.interface:
        found = interfaces.find(magic.interface)
        return {str(found.network.broadcast_address): found.address}
    return {broadcast(site): site.address}


def broadcast(site: Site) -> str:
    """The broadcast address of the machines' network."""
    network = ipaddress.IPv4Network(f"{site.address}/{site.prefix}", strict=False)
    return str(network.broadcast_address)


def check_target(host: str, where: str) -> None:
    """InputError unless it is an IPv4 address or a host's name."""
    numeric = bool(re.fullmatch(r"[0-9.]+", host))
    try:
        good = bool(ipaddress.IPv4Address(host)) if numeric else bool(_NAME.fullmatch(host))
    except ValueError:
        good = False
    if not good:
        raise InputError(
            f"{host!r:.80} is neither an IPv4 address nor a host's name",
            "write it as in 10.77.0.255",
            where,
        )


def targets_of(text: str) -> tuple[str, ...]:
    """The setting's addresses and names, with commas or blanks between them."""
    found = tuple(dict.fromkeys(text.replace(",", " ").split()))
    for host in found:
        check_target(host, "IRONWAKE_WAKE_TARGETS")
    return found
