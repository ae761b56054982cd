"""Plays machines: frames in and out, timers, HTTP; one event loop, no work per frame to spare."""

from __future__ import annotations

import asyncio
import heapq
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from ironwake_lab.storm import asking
from ironwake_lab.storm.cable import LARGEST, segment, to_frame, to_packet
from ironwake_lab.storm.frames import (
    ALL,
    ARP,
    IPV4,
    NOBODY,
    TCP,
    UDP,
    VNET,
    Datagram,
    arp,
    datagram,
    udp,
)
from ironwake_lab.storm.machine import Arp, Fetch, Machine, Neighbour
from ironwake_lab.storm.router import Router
from ironwake_lab.storm.weather import Weather

_AT_ONCE = 128  # frames read before the timers get their turn
_SERVER = 67
_DHCP_MAC = slice(28, 34)  # chaddr in a DHCP message


@dataclass(frozen=True)
class Ends:
    """Descriptors of the wire: `tap` to the rack, `tun` to our own TCP."""

    tap: int
    tun: int


class Driver:
    """`router` answers DHCP beside the appliance; None where a real one does."""

    def __init__(
        self,
        machines: Sequence[Machine],
        ends: Ends,
        weather: Weather,
        router: Router | None,
        router_mac: bytes,
    ) -> None:
        self.machines = machines
        self.counts: Counter[str] = Counter()
        self._tap, self._tun = ends.tap, ends.tun
        self._weather = weather
        self._clear = weather.climate.is_clear
        self._router = router
        self._router_mac = router_mac
        self._by_mac = {machine.mac: machine for machine in machines}
        self._by_address: dict[bytes, Machine] = {}
        self._timers: list[tuple[float, int]] = []  # time, and whose by its place
        self._set: dict[int, float] = {}  # the earliest timer of each
        self._alarm: asyncio.TimerHandle | None = None
        self._places = {machine.mac: place for place, machine in enumerate(machines)}
        self._requests: set[asyncio.Task[None]] = set()
        self._buffer = bytearray(LARGEST)
        self._view = memoryview(self._buffer)
        self._running = set(range(len(machines)))
        self._done = asyncio.Event()

    async def run(self, starts: Sequence[float]) -> None:
        """Switch each on at its time (seconds from now), and play until all are over."""
        loop = self._loop = asyncio.get_running_loop()
        loop.add_reader(self._tap, self._from_rack)
        loop.add_reader(self._tun, self._from_tcp)
        now = loop.time()
        for machine, start in zip(self.machines, starts, strict=True):
            loop.call_at(now + start, self._switch_on, machine)
        try:
            await self._done.wait()
        finally:
            loop.remove_reader(self._tap)
            loop.remove_reader(self._tun)
            if self._alarm is not None:
                self._alarm.cancel()
            for task in list(self._requests):
                task.cancel()
            await asyncio.gather(*self._requests, return_exceptions=True)

    # -- from the rack -----------------------------------------------------------------------------

    def _from_rack(self) -> None:
        buffer = [self._buffer]
        for _ in range(_AT_ONCE):
            try:
                length = os.readv(self._tap, buffer)
            except BlockingIOError:
                return
            if self._clear:
                self._frame(self._view[:length])
                continue
            for delay in self._weather.fate():
                kept = bytes(self._view[:length])
                if delay:
                    self._loop.call_later(delay, self._frame, memoryview(kept))
                else:
                    self._frame(memoryview(kept))

    def _frame(self, frame: memoryview) -> None:
        self.counts["frames in"] += 1
        kind = frame[VNET + 12 : VNET + 14]
        to = bytes(frame[VNET : VNET + 6])
        machine = self._by_mac.get(to)
        if kind == IPV4:
            if frame[VNET + 23] == TCP:
                if machine is not None:
                    self._write(self._tun, to_packet(frame))
            elif frame[VNET + 23] == UDP and (machine is not None or to == ALL):
                self._datagram(frame, machine)
        elif kind == ARP and len(frame) >= VNET + 42:
            self._arp(frame, machine)

    def _datagram(self, frame: memoryview, machine: Machine | None) -> None:
        found = datagram(frame)
        if found is None:
            return
        if machine is None:
            # To all: the answer to a machine that has no address yet names its card inside.
            machine = self._by_mac.get(found.payload[_DHCP_MAC]) if found.dport == 68 else None
            if machine is None:
                return
        size = segment(frame)
        now = self._loop.time()
        if not size or len(found.payload) <= size:
            machine.heard(found, now)
        else:
            for at in range(0, len(found.payload), size):
                part = found.payload[at : at + size]
                machine.heard(
                    Datagram(found.source, found.target, found.sport, found.dport, part), now
                )
        self._settle(machine)

    def _arp(self, frame: memoryview, machine: Machine | None) -> None:
        at = VNET + 14
        operation = frame[at + 7]
        mac, address = bytes(frame[at + 8 : at + 14]), bytes(frame[at + 14 : at + 18])
        target = bytes(frame[at + 24 : at + 28])
        if operation == 2 and machine is not None:
            machine.heard(Neighbour(address, mac), self._loop.time())
            self._settle(machine)
        elif operation == 1:
            owner = self._by_address.get(target)
            if owner is not None and owner.address == target:  # who was reset says nothing
                self._send(arp(2, owner.mac, target, mac, address, mac))
            elif self._router is not None and target == self._router.address:
                self._send(arp(2, self._router_mac, target, mac, address, mac))

    # -- from our own TCP --------------------------------------------------------------------------

    def _from_tcp(self) -> None:
        buffer = [self._buffer]
        for _ in range(_AT_ONCE):
            try:
                length = os.readv(self._tun, buffer)
            except BlockingIOError:
                return
            packet = self._view[:length]
            machine = self._by_address.get(bytes(packet[VNET + 12 : VNET + 16]))
            if machine is None:  # it was reset: what its last boot still says is not said
                continue
            to = machine.neighbours.get(bytes(packet[VNET + 16 : VNET + 20]))
            if to is not None:
                self._send(to_frame(packet, to + machine.mac + IPV4))

    # -- what machines say -------------------------------------------------------------------------

    def _switch_on(self, machine: Machine) -> None:
        machine.power_on(self._loop.time())
        self._settle(machine)

    def _settle(self, machine: Machine) -> None:
        """Send what it wants sent, and note when it wants to be woken."""
        while machine.outbox:
            outputs, machine.outbox = machine.outbox, []
            for output in outputs:
                if isinstance(output, Datagram):
                    self._say(machine, output)
                elif isinstance(output, Arp):
                    self._send(
                        arp(
                            output.operation,
                            machine.mac,
                            machine.address,
                            bytes(6),
                            output.target,
                            ALL,
                        )
                    )
                else:
                    self._ask(machine, output)
        if machine.address != NOBODY:
            self._by_address[machine.address] = machine
        if machine.history.over:
            self._end(machine)
        elif machine.wake is not None:
            self._set_timer(machine, machine.wake)

    def _say(self, machine: Machine, said: Datagram) -> None:
        if said.target != b"\xff\xff\xff\xff":
            to = machine.neighbours.get(said.target)
            if to is None:
                return
            self._send(
                udp(
                    to + machine.mac, said.source, said.target, said.sport, said.dport, said.payload
                )
            )
            return
        self._send(
            udp(ALL + machine.mac, said.source, said.target, said.sport, said.dport, said.payload)
        )
        if self._router is not None and said.dport == _SERVER:
            for delay in self._weather.fate():
                self._loop.call_later(delay, self._to_router, self._router, said.payload)

    def _to_router(self, router: Router, payload: bytes) -> None:
        said = router.answer(payload)
        machine = self._by_mac.get(said.mac) if said else None
        if said is None or machine is None:
            return
        heard = Datagram(router.address, said.target, _SERVER, 68, said.payload)
        for delay in self._weather.fate():
            self._loop.call_later(delay, self._from_router, machine, heard)

    def _from_router(self, machine: Machine, heard: Datagram) -> None:
        machine.heard(heard, self._loop.time())
        self._settle(machine)

    def _ask(self, machine: Machine, fetch: Fetch) -> None:
        self._by_address[machine.address] = machine
        task = self._loop.create_task(self._asked(machine, fetch))
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    async def _asked(self, machine: Machine, fetch: Fetch) -> None:
        self.counts["requests"] += 1
        answer = await asking.ask(fetch, str(IPv4Address(machine.address)))
        self.counts["unanswered"] += answer.status == 0
        machine.answered(answer, self._loop.time())
        self._settle(machine)

    def _send(self, frame: bytes) -> None:
        self.counts["frames out"] += 1
        if self._clear:
            self._write(self._tap, frame)
            return
        for delay in self._weather.fate():
            if delay:
                self._loop.call_later(delay, self._write, self._tap, frame)
            else:
                self._write(self._tap, frame)

    def _write(self, descriptor: int, data: bytes) -> None:
        try:
            os.write(descriptor, data)
        except OSError:  # full, or the rack is gone: a wire loses what it cannot take
            self.counts["not written"] += 1

    # -- timers ------------------------------------------------------------------------------------

    def _set_timer(self, machine: Machine, when: float) -> None:
        place = self._places[machine.mac]
        known = self._set.get(place)
        if known is not None and known <= when:
            return  # that one comes first, and looks again
        self._set[place] = when
        heapq.heappush(self._timers, (when, place))
        self._set_alarm()

    def _set_alarm(self) -> None:
        """For the earliest of all."""
        when = self._timers[0][0]
        if self._alarm is None or when < self._alarm.when():
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        now = self._loop.time()
        while self._timers and self._timers[0][0] <= now:
            when, place = heapq.heappop(self._timers)
            if self._set.get(place) != when:
                continue  # an earlier one has taken its place meanwhile
            del self._set[place]
            machine = self.machines[place]
            machine.late(now)
            self._settle(machine)
        if self._timers:
            self._set_alarm()

    def _end(self, machine: Machine) -> None:
        place = self._places[machine.mac]
        self._set.pop(place, None)
        self._running.discard(place)
        if not self._running:
            self._done.set()
