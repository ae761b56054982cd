"""An appliance made of a few functions, and a clock that jumps: machines are played in no time."""

from __future__ import annotations

import heapq
import itertools
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from ironwake_lab.storm import boot
from ironwake_lab.storm.frames import NOBODY, Datagram
from ironwake_lab.storm.machine import Answer, Arp, Fetch, Habits, Machine, Neighbour
from ironwake_lab.storm.roms import Kind
from ironwake_lab.storm.router import Router
from ironwake_lab.storm.weather import Climate, Weather

OURS = bytes((10, 77, 0, 2))
_MAC = b"\x02\x00\x00\x00\x00\x02"
SHIM, GRUB, UNDIONLY = bytes(5000), bytes(3000), bytes(2864)  # the last: two whole blocks of 1432
COMMON = "for pause in 1 2; do\n  source (http,10.77.0.2)/boot/${net_default_mac}/grub.cfg\ndone\n"
TOKEN = "ab" * 32
_ARGUMENTS = f"ironwake.url=http://10.77.0.2 ironwake.token={TOKEN} quiet"
SCRIPT = (
    'echo "x"\n'
    f"linux (http,10.77.0.2)/artifacts/k/vmlinuz {_ARGUMENTS}\n"
    "initrd (http,10.77.0.2)/artifacts/i/initrd.img\nboot\n"
)
IPXE = (
    "#!ipxe\n"
    f"kernel http://10.77.0.2/artifacts/k/vmlinuz initrd=initrd {_ARGUMENTS} || goto failed\n"
    "initrd --name initrd http://10.77.0.2/artifacts/i/initrd.img || goto failed\nboot\n"
)
FILES = {
    "sb/shimx64.efi": SHIM,
    "sb/grubx64.efi": GRUB,
    "ipxe/undionly.kpxe": UNDIONLY,
    "/grub/grub.cfg": COMMON.encode(),
}
_MOST_EVENTS = 200_000
_MOST_TURNS = 500


def machine(kind: Kind = Kind.UEFI, seed: int = 1, habits: Habits | None = None) -> Machine:
    """One of a storm's."""
    mac = b"\x02\x49\x57\x00\x00\x01"
    habits = habits or Habits(rivals=0.0)
    return Machine("storm0001", mac, kind, habits, random.Random(seed), boot.life)


def offer(asked: bytes, file: str, discovery: bytes = b"\x06\x01\x08\xff") -> bytes:
    """Our proxy's word to a DISCOVER, or to a REQUEST on port 4011."""
    kind = 2 if asked[242] == 1 else 5
    web = b"HTTPClient" in asked
    head = b"\x02\x01\x06\x00" + asked[4:8] + bytes(8) + NOBODY + OURS + bytes(4) + asked[28:44]
    vendor = b"HTTPClient" if web else b"PXEClient"
    said = b"\x63\x82\x53\x63\x35\x01" + bytes((kind,)) + b"\x36\x04" + OURS
    said += bytes((60, len(vendor))) + vendor
    if discovery and kind == 2 and not web:
        said += bytes((43, len(discovery))) + discovery
    return head + bytes(64) + file.encode().ljust(128, b"\0") + said + b"\xff"


def file_for(asked: bytes) -> str:
    """What our proxy would name."""
    if b"HTTPClient" in asked:
        return "http://10.77.0.2/sb/shimx64.efi"
    if b"iPXE" in asked:
        return "http://10.77.0.2/boot/02:49:57:00:00:01/boot.ipxe"
    return "sb/shimx64.efi" if b"Arch:00007" in asked else "ipxe/undionly.kpxe"


@dataclass
class Appliance:
    """Answers HTTP as the real one does; `claimed` is who has the order."""

    claimed: str = ""
    heard: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __call__(self, fetch: Fetch) -> tuple[int, bytes]:
        path = fetch.url.removeprefix("http://10.77.0.2")
        self.asked.append(path)
        if path.endswith("/order"):
            return self._order(dict(fetch.headers)["X-Ironwake-Boot"])
        if fetch.method == "POST":
            self.heard.append(json.loads(fetch.body).get("stage", "health"))
            return 204, b""
        pages = {"grub.cfg": SCRIPT, "boot.ipxe": IPXE}
        if path == "/grub/grub.cfg":
            return 200, COMMON.encode()
        name = path.rpartition("/")[2]
        if name.startswith(("revocations", "shim_certificate")) or name.endswith(".lst"):
            return 404, b"# nothing\n"
        return 200, pages.get(name, "bytes").encode()

    def _order(self, boot_id: str) -> tuple[int, bytes]:
        if self.claimed not in ("", boot_id):
            return 410, b"# handed out\n"
        self.claimed = boot_id
        order = {"health": "http://10.77.0.2/health/x", "archive": {"url": "http://10.77.0.2/a"}}
        return 200, json.dumps(order).encode()


Web = Callable[[Fetch], tuple[int, bytes]]


class World:
    """Plays one machine to its end: `run` returns how many events that took."""

    def __init__(
        self,
        one: Machine,
        web: Web,
        climate: Climate | None = None,
        seed: int = 1,
        discovery: bytes = b"\x06\x01\x08\xff",
    ) -> None:
        self.machine = one
        self.now = 0.0
        self._web = web
        self._weather = Weather(climate or Climate(), seed)
        self._discovery = discovery
        self._router = Router.of("10.77.0.1", IPv4Network("10.77.0.0/16"), "10.77.16.1", 1)
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._transfers: dict[tuple[int, int], Sender] = {}
        self._port = 40000

    def later(self, delay: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + delay, next(self._order), call))

    def run(self) -> int:
        self.machine.power_on(self.now)
        self._settle()
        for events in range(_MOST_EVENTS):
            if self.machine.history.over:
                return events
            wake = self.machine.wake
            if self._queue and (wake is None or self._queue[0][0] <= wake):
                self.now, _, call = heapq.heappop(self._queue)
                call()
            else:
                assert wake is not None, "it waits for nothing at all"
                self.now = max(self.now, wake)
                self.machine.late(self.now)
            self._settle()
        raise AssertionError(f"it goes round in circles: {self.machine.history.failures[-3:]}")

    def _settle(self) -> None:
        while self.machine.outbox:
            said, self.machine.outbox = self.machine.outbox, []
            for one in said:
                if isinstance(one, Fetch):
                    self.later(0.01, lambda one=one: self._answer(one))  # type: ignore[misc]
                    continue
                for delay in self._weather.fate():
                    self.later(delay + 0.0005, lambda one=one: self._hear(one))  # type: ignore[misc]

    def _answer(self, fetch: Fetch) -> None:
        status, body = self._web(fetch)
        self.machine.answered(Answer(fetch.number, status, body, len(body)), self.now)

    def _hear(self, said: Datagram | Arp) -> None:
        if isinstance(said, Arp):
            self._say(Neighbour(said.target, _MAC))
        elif said.dport == 67:
            answer = self._router.answer(said.payload)
            if answer is not None:
                source = self._router.address
                self._say(Datagram(source, answer.target, 67, 68, answer.payload))
            if b"Client:Arch" in said.payload and said.payload[242] == 1:
                word = offer(said.payload, file_for(said.payload), self._discovery)
                self._say(Datagram(OURS, b"\xff" * 4, 67, 68, word))
        elif said.dport == 4011:
            word = offer(said.payload, file_for(said.payload))
            self._say(Datagram(OURS, said.source, 4011, said.sport, word))
        else:
            self._tftp(said)

    def _say(self, heard: Datagram | Neighbour) -> None:
        for delay in self._weather.fate():
            self.later(delay + 0.0005, lambda: self.machine.heard(heard, self.now))

    def _tftp(self, said: Datagram) -> None:
        if said.dport == 69:
            self._port += 1
            words = said.payload[2:].split(b"\0")
            content = FILES.get(words[0].decode())
            if content is None:
                error = b"\x00\x05\x00\x01file not found\0"
                self._say(Datagram(OURS, said.source, self._port, said.sport, error))
                return
            options = dict(zip(words[2::2], words[3::2], strict=False))
            self._transfers[self._port, said.sport] = Sender(content, options)
            self._send(self._port, said, 0)
        elif (said.dport, said.sport) in self._transfers:
            if said.payload[1] == 4:
                block = int.from_bytes(said.payload[2:4], "big")
                if self._transfers[said.dport, said.sport].is_news(block):
                    self._send(said.dport, said, block)
            else:
                del self._transfers[said.dport, said.sport]

    def _send(self, port: int, said: Datagram, heard: int) -> None:
        """The flight after the block that was acknowledged; the same again if nothing comes."""
        sender = self._transfers[port, said.sport]
        first = sender.turn == 0
        sender.turn += 1
        turn = sender.turn
        for payload in [sender.oack] if first else sender.flight(heard):
            self._say(Datagram(OURS, said.source, port, said.sport, payload))

        def again() -> None:
            if sender.turn == turn < _MOST_TURNS and self._transfers.get((port, said.sport)):
                sender.turn -= first
                self._send(port, said, heard)

        self.later(1.0, again)


@dataclass
class Sender:
    """The other end of a download, as simple as can be."""

    content: bytes
    options: dict[bytes, bytes]
    turn: int = 0
    acknowledged: int = -1

    def is_news(self, block: int) -> bool:
        """Whether this acknowledges more than was before: to answer each repeat with a flight
        would let duplicates beget duplicates (RFC 1123 section 4.2.3.1)."""
        news = block > self.acknowledged
        self.acknowledged = max(self.acknowledged, block)
        return news

    @property
    def oack(self) -> bytes:
        given = {**self.options}
        if b"tsize" in given:
            given[b"tsize"] = str(len(self.content)).encode()
        return b"\x00\x06" + b"".join(name + b"\0" + value + b"\0" for name, value in given.items())

    def flight(self, heard: int) -> list[bytes]:
        """Blocks after `heard`; the last one is shorter than the others, or empty."""
        size, window = (int(self.options.get(name, b"1")) for name in (b"blksize", b"windowsize"))
        blocks = range(heard + 1, min(heard + window, len(self.content) // size + 1) + 1)
        return [
            b"\x00\x03" + block.to_bytes(2, "big") + self.content[(block - 1) * size : block * size]
            for block in blocks
        ]
