"""The sockets, on loopback and without rights: doors, fences, and the interface of each packet."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import IPv4Address

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from ironwake.errors import BrokenError, RefusedError
from ironwake.ipv4 import Network, Range
from ironwake.subnet import Subnet
from ironwake.view import Index
from ironwake_dhcp.book import Lease
from ironwake_dhcp.delivery import Datagram, Source
from ironwake_dhcp.exchange import Exchange, Lending, Outgoing
from ironwake_dhcp.journal import Done
from ironwake_dhcp.lend import Lender
from ironwake_dhcp.offer import Door
from ironwake_dhcp.packet import MessageType
from ironwake_dhcp.place import Place
from ironwake_dhcp.server import Server, listen
from ironwake_dhcp.template import Stencil
from tests.dhcp import rack
from tests.dhcp.test_exchange import ask

LO = socket.if_nametoindex("lo")


class Lines:
    """A log that can be read back."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **values: object) -> None:
        self.lines.append((event, values))

    warning = info


class Site:
    """A server on loopback with ports of its own, a wire to read, and a client's socket."""

    def __init__(self, exchange: object, *, index: int = LO, journal: object = None) -> None:
        ports = [free_port(), free_port()]
        self.place = Place("lo", index, bytes(6), IPv4Address("127.0.0.1"), *ports)
        ours, self.wire = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.wire.setblocking(False)
        self.log = Lines()
        self.server = Server(
            exchange,  # type: ignore[arg-type]
            lambda: self.place,
            self.log,  # type: ignore[arg-type]
            journal,  # type: ignore[arg-type]
            wire=lambda _: ours,
        )
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.client.bind(("127.0.0.1", 0))

    def close(self) -> None:
        self.wire.close()
        self.client.close()

    def send(self, data: bytes, port: int) -> None:
        self.client.sendto(data, ("127.0.0.1", port))

    async def answer(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.client, 2048)

    async def frame(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.wire, 2048)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def on(site: Site, story: Callable[[Site], Awaitable[None]]) -> None:
    """Run `story` while the server of `site` serves."""

    async def play() -> None:
        serving = asyncio.create_task(site.server.run())
        try:
            async with asyncio.timeout(30):
                await site.server.listening.wait()
                await story(site)
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    try:
        asyncio.run(play())
    finally:
        site.close()


def exchange(index: Index) -> Exchange:
    made = Exchange(lambda *_: None)
    made.take(index)
    return made


def test_a_client_with_an_address_is_answered_by_udp() -> None:
    """Port 4011's second leg goes back to the very port that it came from."""

    async def story(site: Site) -> None:
        site.send(ask(MessageType.REQUEST), site.place.boot_port)
        assert BOOTP(await site.answer()).file.rstrip(b"\0") == b"sb/shimx64.efi"

    on(Site(exchange(rack.armed())), story)


def test_a_client_without_an_address_is_answered_by_frame() -> None:
    """An OFFER leaves as an Ethernet frame from the server's port and address."""

    async def story(site: Site) -> None:
        site.send(ask(firmware=rack.BIOS), site.place.server_port)
        frame = Ether(await site.frame())
        assert frame.dst == rack.NODE
        assert (frame[IP].src, frame[IP].dst) == ("127.0.0.1", "255.255.255.255")
        assert (frame.sport, frame.dport) == (site.place.server_port, 68)

    on(Site(exchange(rack.armed())), story)


class Counts(Counter[str]):
    """Counts that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = asyncio.Event()

    def __setitem__(self, what: str, count: int) -> None:
        super().__setitem__(what, count)
        self.has_begun.set()


def test_what_came_in_elsewhere_is_not_even_read() -> None:
    """A datagram whose interface is not ours is counted and dropped, whatever it says."""
    made = exchange(rack.armed())
    made.counts = counts = Counts()

    async def story(site: Site) -> None:
        site.send(ask(MessageType.REQUEST), site.place.boot_port)
        await counts.has_begun.wait()
        assert made.counts == {"other interface": 1}

    on(Site(made, index=LO + 1), story)


class HeldDisk:
    """A journal that is done when a test says so."""

    def __init__(self) -> None:
        self.is_noted = False
        self.begun = asyncio.Event()
        self.done: Done = _nobody

    def note(self, _: Lease) -> None:
        self.is_noted = True

    def commit(self, done: Done) -> None:
        self.is_noted = False
        self.done = done
        self.begun.set()


def _nobody(_: BrokenError | None) -> None:
    raise AssertionError("nothing was committed")


def test_only_what_leases_stand_behind_waits_for_the_disk() -> None:
    """An ACK leaves once its lease is kept, and never if it is not; an OFFER leaves meanwhile.

    That the disk does not take them is said, whenever it is so, and when it takes them again.
    """
    disk = HeldDisk()
    subnet = Subnet(Network("10.77.0.0/24"), (Range("10.77.0.9-10.77.0.20"),))
    ours = IPv4Address(rack.ADDRESS)
    lender = Lender(ours, (subnet,))
    made = Exchange(lambda *_: None, Lending(lender, disk.note))
    made.take(rack.index())
    wanted = (50, IPv4Address("10.77.0.9").packed)

    async def kind(site: Site) -> MessageType:
        payload = bytes(Ether(await site.frame())[UDP].payload)
        name, value = BOOTP(payload)[DHCP].options[0]
        assert name == "message-type"
        return MessageType(value)

    async def story(site: Site) -> None:
        kept, lost = (None, MessageType.ACK), (BrokenError("full"), MessageType.OFFER)
        for error, after in (kept, lost, lost, kept, lost, kept):
            disk.begun.clear()
            before = made.counts["not kept"]
            site.send(ask(MessageType.REQUEST, wanted, firmware=rack.BIOS), site.place.server_port)
            await disk.begun.wait()
            site.send(ask(firmware=rack.BIOS), site.place.server_port)
            assert await kind(site) is MessageType.OFFER
            disk.done(error)
            while error is not None and made.counts["not kept"] == before:
                await asyncio.sleep(0)
            site.send(ask(firmware=rack.BIOS), site.place.server_port)
            assert await kind(site) is after
            if after is MessageType.ACK:
                assert await kind(site) is MessageType.OFFER
        said = [event for event, values in site.log.lines if "full" in str(values.get("error"))]
        assert len(said) == 2
        assert [event for event, _ in site.log.lines].count("works again") == 2

    on(Site(made, journal=disk), story)


class Trap:
    """An exchange that fails as it is told to, and else repeats what it hears."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def receive(self, data: bytes, source: Source, now: float) -> Outgoing:  # noqa: ARG002
        if data == b"divide":
            raise ZeroDivisionError("division by zero")
        # port 0 can't be sent to: a failure of the sending, after that of the deciding
        port = 0 if data == b"unsendable" else source.port
        return Outgoing(Stencil(data, b"", Datagram(source.address, port)), b"")


def test_no_exception_ends_the_service() -> None:
    """A failing datagram is counted, its kind is logged once, and the next one is answered."""
    trap = Trap()

    async def story(site: Site) -> None:
        for data in (b"divide", b"unsendable", b"divide", b"unsendable", b"well"):
            site.send(data, site.place.server_port)
        assert await site.answer() == b"well"
        assert trap.counts == {"failed": 4}
        dropped = [values["error"] for event, values in site.log.lines if "dropped" in event]
        assert len(dropped) == 2
        assert dropped[0] == "division by zero"

    on(Site(trap), story)


def test_malformed_datagrams_are_logged_once_for_each_reason() -> None:
    """A flood of rubbish makes two lines, not two hundred, and stops nobody."""

    async def story(site: Site) -> None:
        for _ in range(40):
            site.send(b"x", site.place.boot_port)
            site.send(ask()[:-1] + b"\x3c", site.place.boot_port)
        site.send(bytes(1800), site.place.boot_port)
        site.send(ask(MessageType.REQUEST), site.place.boot_port)
        await site.answer()
        errors = [values["error"] for event, values in site.log.lines if "dropped" in event]
        assert errors == ["too short", "option cut off", "too long"]

    on(Site(exchange(rack.armed())), story)


def test_a_busy_port_is_named() -> None:
    """Two servers on one port of one interface: the second one says which port, and what to do."""
    port = free_port()
    said = f"UDP port {port}, which the dhcp service needs, is in use"
    with listen(Door.SERVER, "lo", port), pytest.raises(RefusedError, match=said):
        listen(Door.SERVER, "lo", port)
