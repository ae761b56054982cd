"""The sockets of the DHCP service: what `Exchange` decides, carried.

One process, one loop: broadcasts reach every socket on a port, so a second one would only answer
twice. Requests come by UDP; replies to clients without an address leave as frames of our own.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import structlog

from ironwake.errors import BrokenError
from ironwake_dhcp.carrier import Carrier
from ironwake_dhcp.delivery import Source
from ironwake_dhcp.exchange import Exchange, Outgoing
from ironwake_dhcp.journal import Journal
from ironwake_dhcp.offer import Door
from ironwake_dhcp.packet import MAX_SIZE, Malformed
from ironwake_dhcp.place import Place
from ironwake_dhcp.template import Frames
from ironwake_runtime import clock, interfaces, udp
from ironwake_runtime.outage import Outage
from ironwake_runtime.ports import Port

_BATCH: Final = 64  # datagrams for one look at the clock
_KINDS: Final = 64  # of trouble with datagrams that get a line, in a process's life
_TURN: Final = 0.01  # seconds: then the other door, and the view, get theirs


class Server:
    """Listens on both doors of one interface until it is cancelled.

    `where` finds the interface anew; the service follows when it was unplugged and comes back, or
    has another address. An answer with which leases change waits for `journal`, the others do not.
    """

    def __init__(
        self,
        exchange: Exchange,
        where: Callable[[], Place],
        log: structlog.stdlib.BoundLogger,
        journal: Journal | None = None,
        wire: Callable[[str], socket.socket] | None = None,
        clock: Callable[[], float] = clock.steady,
    ) -> None:
        self._exchange = exchange
        self._where = where
        self._log = log
        self._journal = journal
        self._wire = wire or open_wire
        self._clock = clock
        self._logged: set[str] = set()
        self._unkept = Outage(log, "leases not kept, so their answers do not leave")
        self.listening = asyncio.Event()

    async def run(self) -> None:
        """Serve for ever. RefusedError: a port is taken. BrokenError: a right is missing.

        Also where leases are given and the interface is another one: pools, options and the name
        that we have as a server all follow from its address. Whoever runs this starts it anew.
        """
        place = self._where()
        try:
            while True:
                place = await self._serve(place)
                if self._journal is not None:
                    raise BrokenError(
                        f"the interface {place.interface} has changed: its address is now "
                        f"{place.address}",
                        "this service starts anew on it",
                    )
                self._log.warning("the interface has changed", interface=place.interface)
        finally:
            self._log.info("stopped", counts=dict(self._exchange.counts))

    async def _serve(self, place: Place) -> Place:
        """Serve at `place` until it is another one."""
        with self._open(place):
            self._log.info("listening", interface=place.interface, address=str(place.address))
            self.listening.set()
            return await interfaces.changed(place.interface, place, self._where, self._log)

    @contextmanager
    def _open(self, place: Place) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        frames = Frames(place.mac, place.address, place.server_port)
        with ExitStack() as stack:
            wire = stack.enter_context(self._wire(place.interface))
            for door, port in ((Door.SERVER, place.server_port), (Door.BOOT, place.boot_port)):
                sock = stack.enter_context(listen(door, place.interface, port))
                carrier = Carrier(door, sock, wire, frames, place)
                loop.add_reader(sock, self._readable, carrier)
                stack.callback(loop.remove_reader, sock)
            yield

    def _readable(self, carrier: Carrier) -> None:
        """Serve until nobody asks for a moment: machines come in rushes, and to be called back by
        the loop costs more than most answers."""
        end = time.monotonic() + _TURN
        while True:
            held: list[Outgoing] = []
            try:
                is_empty = self._batch(carrier, held)
            finally:
                self._keep(carrier, held)
            if time.monotonic() > end or (is_empty and not carrier.is_near()):
                return

    def _keep(self, carrier: Carrier, held: list[Outgoing]) -> None:
        """Have the leases written that these answers wait for, together, with one fsync."""
        if self._journal is not None and self._journal.is_noted:
            self._journal.commit(lambda error: self._kept(carrier, held, error))

    def _kept(self, carrier: Carrier, held: list[Outgoing], error: BrokenError | None) -> None:
        """The leases are on the disk: now the answers may leave. If they are not, none does.

        Perhaps in the journal's thread: under load, each change of threads is a wait.
        """
        if error is not None:
            self._exchange.counts["not kept"] += len(held)
            self._unkept.failed(error)
            return
        self._unkept.over()
        for outgoing in held:
            self._send(carrier, outgoing)

    def _send(self, carrier: Carrier, outgoing: Outgoing) -> None:
        try:
            carrier.send(outgoing)
        except Exception as error:  # noqa: BLE001 - the same fence: no room, no route, no interface
            self._exchange.counts["failed"] += 1
            self._once(f"{type(error).__name__}: {error}", error)

    def _batch(self, carrier: Carrier, held: list[Outgoing]) -> bool:
        """Serve what waits, some at most; whether that was all."""
        now = self._clock()
        for _ in range(_BATCH):
            try:
                data, ancillary, _, sender = carrier.udp.recvmsg(MAX_SIZE + 1, udp.ROOM)
            except BlockingIOError:
                return True
            except OSError as error:  # the interface went down: `interfaces.changed` sees to it
                self._once("receive", error)
                return True
            try:
                self._one(carrier, data, carrier.source(ancillary, sender), now, held)
            except Malformed as error:
                self._once(error.reason, error, sender[0])
            except Exception as error:  # noqa: BLE001 - the fence: no datagram may end the service
                self._exchange.counts["failed"] += 1
                self._once(f"{type(error).__name__}: {error}", error, sender[0])
        return False

    def _one(
        self, carrier: Carrier, data: bytes, source: Source | None, now: float, held: list[Outgoing]
    ) -> None:
        if source is None:
            self._exchange.counts["other interface"] += 1
            return
        outgoing = self._exchange.receive(data, source, now)
        if outgoing is None:
            return
        if outgoing.waits:
            held.append(outgoing)
        else:
            carrier.send(outgoing)

    def _once(self, kind: str, error: Exception, sender: str = "") -> None:
        """Log each kind of trouble the first time only: a flood must not fill the disk."""
        if kind in self._logged or len(self._logged) >= _KINDS:
            return
        self._logged.add(kind)
        self._log.warning(
            "datagram dropped; the same again will only be counted",
            error=str(error) or type(error).__name__,
            sender=sender,
        )


def listen(door: Door, interface: str, number: int) -> socket.socket:
    """The UDP socket of one door; IronwakeError where its port cannot be had."""
    name = "PORT" if door is Door.SERVER else "PROXY_PORT"
    return udp.listen(Port("dhcp", "udp", number, f"IRONWAKE_DHCP_{name}", interface=interface))


def open_wire(interface: str) -> socket.socket:
    """A socket that sends Ethernet frames on `interface` and receives none."""
    try:
        # Protocol 0: nothing is ever queued for reading.
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    except PermissionError as error:
        raise BrokenError(
            "Ethernet frames may not be sent by this process",
            "start it as root, or give it the capability NET_RAW",
        ) from error
    try:
        wire.bind((interface, 0))
    except OSError as error:
        wire.close()
        raise BrokenError(
            f"the network interface {interface} cannot be used: {error.strerror}",
            "see what is wrong with it: ironwake doctor",
        ) from error
    return wire
