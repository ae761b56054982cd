"""One machine: what it hears goes in, what it says comes out. No socket, no clock, no thread.

Its life is a generator, so that firmware reads like firmware (`boot`, `linux`): each `yield` says
until when it listens, and gets what was heard, or None when that time has come. Whoever plays it
(`driver`) calls `power_on`, `heard`, `answered` and `late`, then sends what is in `outbox` and
comes back at `wake`.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from ironwake_lab.storm.download import Download
from ironwake_lab.storm.frames import ALL, NOBODY, Datagram
from ironwake_lab.storm.roms import Kind, Manners

_DHCP_CLIENT, _TFTP = 68, 69
_EPHEMERAL = 1024
_NEVER = 3600.0  # seconds: the driver answers every request long before


class Mark(StrEnum):
    """What a machine is timed at, from its power button on."""

    OFFERED = "offered"  # the appliance's first offer was heard
    LOADER = "loader"  # the first file of the chain is there in full
    KERNEL = "kernel"  # kernel and ramdisk are there
    CLAIMED = "claimed"
    INSTALLED = "installed"  # reported, and heard
    SUCCEEDED = "succeeded"  # the health report was heard


@dataclass(frozen=True)
class Habits:
    """What all machines of a storm have in common.

    `pace` multiplies the time that a machine needs between two hops (1: quick hardware). `most`:
    octets of kernel, ramdisk and archive each, 0 for all of them. `reports`: how many progress
    reports, `spacing` seconds from one to the next. `boots`: how often it is switched on again
    after a boot that failed. `rivals`: the share of machines whose kernel runs twice at once, each
    asking for the order.
    """

    pace: float = 1.0
    most: int = 1 << 20
    reports: int = 8
    spacing: float = 0.5
    boots: int = 12
    rivals: float = 0.1


@dataclass(frozen=True, slots=True)
class Arp:
    """`operation` 1 asks for `target`, 2 answers the card `to`."""

    operation: int
    target: bytes
    to: bytes = ALL


@dataclass(frozen=True, slots=True)
class Fetch:
    """One HTTP request; `number` comes back with its answer. `most`: octets wanted, 0 for all."""

    number: int
    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    most: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` 0: there was none. `body`: at most 64 KiB of it; `size`: octets that came."""

    number: int
    status: int
    body: bytes = b""
    size: int = 0

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_passing(self) -> bool:
        """The appliance is in trouble: worth another try."""
        return self.status == 0 or self.status >= 500 or self.status in (408, 429)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Somebody's address and card, out of an ARP frame."""

    address: bytes
    mac: bytes


class Done:
    """A download has ended."""


DONE = Done()
Event = Datagram | Neighbour | Answer | Done
Output = Datagram | Arp | Fetch
_T = TypeVar("_T")
_E = TypeVar("_E", bound=Event)
Life = Generator[float, Event | None, _T]


class BootFailedError(Exception):
    """This boot is over: the firmware goes on to a disk that is blank, and starts anew."""


class InstallEndedError(Exception):
    """The appliance has ended the deployment, or given it to somebody else."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A report that was acknowledged: what, when (by the driver's clock), and after how long."""

    what: str
    when: float
    seconds: float


@dataclass
class History:
    """What a machine went through; times in seconds from its power button."""

    marks: dict[Mark, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)  # why boots failed
    granted: set[str] = field(default_factory=set)  # boots that were given the order
    refused_again: int = 0  # how often a second one was refused it
    heard: list[Heard] = field(default_factory=list)  # reports that were acknowledged
    unheard: list[str] = field(default_factory=list)  # reports that were given up
    octets: int = 0
    end: str = ""  # how it ended, if not well
    over: bool = False


class Machine:
    """`mac` is its card's; all its decisions are `chance`'s, so a seed is a run."""

    def __init__(
        self,
        name: str,
        mac: bytes,
        kind: Kind,
        habits: Habits,
        chance: random.Random,
        life: Callable[[Machine], Life[None]],
    ) -> None:
        self.name = name
        self.mac = mac
        self.kind = kind
        self.habits = habits
        self.chance = chance
        self.uuid = uuid.uuid5(uuid.NAMESPACE_OID, f"ironwake-storm {mac.hex()}")
        self.address = NOBODY
        self.neighbours: dict[bytes, bytes] = {}
        self.outbox: list[Output] = []
        self.wake: float | None = None
        self.now = 0.0
        self.history = History()
        self._life = life(self)
        self._born: float | None = None
        self._download: Download | None = None
        self._server = NOBODY  # of the download
        self._numbers = 0
        self._port = 0

    # -- what comes in -----------------------------------------------------------------------------

    def power_on(self, now: float) -> None:
        """The button."""
        self._born = self.now = now
        self._go(None)

    def heard(self, event: Datagram | Neighbour, now: float) -> None:
        """A datagram for it, or somebody's answer to its ARP."""
        if self._born is None or self.history.over:
            return
        self.now = now
        if isinstance(event, Neighbour):
            self.neighbours[event.address] = event.mac
        if self._download is None:
            self._go(event)
        elif isinstance(event, Datagram) and event.dport == self._download.port:
            self._carry_on(self._download, event)
        # Whatever else comes during a download is lost, and does not put off what it waits for.

    def answered(self, answer: Answer, now: float) -> None:
        """The answer to one of its requests."""
        self.now = now
        self.history.octets += answer.size
        self._go(answer)

    def late(self, now: float) -> None:
        """`wake` has come."""
        if self.wake is None or now < self.wake or self.history.over:
            return
        self.now = now
        if self._download is None:
            self._go(None)
            return
        again = self._download.late()
        if again is not None:
            self._to_server(self._download, again)
        self._after(self._download)

    def _carry_on(self, download: Download, event: Datagram) -> None:
        if event.source != self._server:
            return
        reply = download.receive(event.payload, event.sport)
        if reply is not None:
            self._to_server(download, reply)
        self._after(download)

    def _after(self, download: Download) -> None:
        if download.over:
            self._download = None
            self.history.octets += download.size
            self._go(DONE)
        else:
            self.wake = self.now + download.pause

    def _go(self, event: Event | None) -> None:
        if self.history.over:
            return
        try:
            # A generator that has not begun takes None only.
            self.wake = self._life.send(event)
        except StopIteration:
            self.history.over, self.wake = True, None

    # -- what it can do ----------------------------------------------------------------------------

    def mark(self, mark: Mark) -> None:
        """The first time counts."""
        self.history.marks.setdefault(mark, self.now - (self._born or 0.0))

    def says(self, target: bytes, sport: int, dport: int, payload: bytes) -> None:
        """Send a datagram, from the address that it has."""
        self.outbox.append(Datagram(self.address, target, sport, dport, payload))

    def sleep(self, seconds: float, spread: float = 0.3) -> Life[None]:
        """Do something that takes about so long; what is heard meanwhile is lost on it."""
        end = self.now + seconds * self.chance.uniform(1 - spread, 1 + spread)
        while self.now < end:
            if (yield end) is None:
                return

    def think(self, seconds: float) -> Life[None]:
        """`sleep`, by the storm's pace."""
        yield from self.sleep(seconds * self.habits.pace)

    def wait(self, end: float, kind: type[_E]) -> Life[_E | None]:
        """The next event of this kind; None once `end` has come."""
        while True:
            event = yield end
            if event is None:
                return None
            if isinstance(event, kind):
                return event

    def resolve(self, address: bytes) -> Life[None]:
        """Find the card of an address, as everybody does before the first unicast."""
        for _ in range(8):
            if address in self.neighbours:
                return
            self.outbox.append(Arp(1, address))
            end = self.now + 1.0
            while self.now < end and address not in self.neighbours:
                if (yield end) is None:
                    break
        raise BootFailedError(f"nobody answers at {'.'.join(map(str, address))}")

    def forget_network(self) -> None:
        """A reset: no address, no neighbours, no transfer."""
        self.address = NOBODY
        self.neighbours.clear()
        self._download = None
        self._port = 0

    def tftp(
        self, server: bytes, name: str, manners: Manners, probe: bool = False
    ) -> Life[Download]:
        """Download; the result says whether it went well."""
        yield from self.resolve(server)
        download = Download(name, manners, self._next_port(manners), probe)
        self._download, self._server = download, server
        self.outbox.append(Datagram(self.address, server, download.port, _TFTP, download.begin()))
        while not download.over:
            # Only the end comes here: blocks and silence are the transfer's own (`_carry_on`).
            if (yield self.now + download.pause) is DONE:
                break
        return download

    def _to_server(self, download: Download, payload: bytes) -> None:
        port = download.server or _TFTP
        self.outbox.append(Datagram(self.address, self._server, download.port, port, payload))

    def _next_port(self, manners: Manners) -> int:
        if manners.first_port and self._port < manners.first_port:
            self._port = manners.first_port - 1
        elif not self._port:
            self._port = _EPHEMERAL + self.chance.randrange(1000)
        self._port += 1
        return self._port

    def fetch(
        self,
        method: str,
        url: str,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        most: int = 0,
    ) -> Life[Answer]:
        """One HTTP request, to its end."""
        number = yield from self.ask(method, url, headers, body, most)
        return (yield from self.reply_to(number))

    def ask(
        self,
        method: str,
        url: str,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        most: int = 0,
    ) -> Life[int]:
        """Send a request and go on; its number."""
        yield from self.resolve(host(url))
        self._numbers += 1
        self.outbox.append(Fetch(self._numbers, method, url, headers, body, most))
        return self._numbers

    def reply_to(self, number: int) -> Life[Answer]:
        """The answer to the request of that number."""
        while True:
            answer = yield from self.wait(self.now + _NEVER, Answer)
            if answer is None:
                return Answer(number, 0)
            if answer.number == number:
                return answer


def host(url: str) -> bytes:
    """The address in a URL; BootFailedError where it is a name: firmware here has no resolver."""
    authority = url.removeprefix("http://").partition("/")[0].partition(":")[0]
    parts = authority.split(".")
    if len(parts) != 4 or not all(part.isdigit() and int(part) < 256 for part in parts):
        raise BootFailedError(f"{url!r:.60} has no IPv4 address in it")
    return bytes(int(part) for part in parts)
