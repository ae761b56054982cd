"""What is kept at hand of a request says, byte for byte, what would be found out anew."""

from __future__ import annotations

import dataclasses
import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake.ipv4 import Network, Range
from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.machine import MachineUuid
from ironwake.subnet import Subnet
from ironwake.view import Index
from ironwake_dhcp.case import Cases
from ironwake_dhcp.delivery import Datagram, Frame, Source
from ironwake_dhcp.exchange import Exchange, Lending
from ironwake_dhcp.lend import Lender
from ironwake_dhcp.offer import Door
from ironwake_dhcp.packet import Malformed, parse
from ironwake_dhcp.template import Frames, Stencil
from ironwake_testing.captures import requests
from tests.dhcp import rack

RECORDED = sorted({item.payload for item in requests()})
MACS = sorted({parse(payload).mac for payload in RECORDED})
UUID = MachineUuid("2e0e2e0e-0077-4000-8000-525400770010")
HERE = IPv4Address("10.77.0.163")
SOURCES = (
    Source(IPv4Address(0), 68, Door.SERVER),
    Source(HERE, 68, Door.SERVER, False),
    Source(HERE, 4011, Door.BOOT),
    Source(IPv4Address(0), 4011, Door.BOOT),
)


@dataclass(frozen=True)
class Step:
    """A datagram, and how much later it comes."""

    data: bytes
    source: Source
    pause: float


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """A recorded request of another transaction, perhaps with a few octets damaged."""
    data = bytearray(draw(st.sampled_from(RECORDED)))
    data[4:8] = struct.pack("!I", draw(st.integers(0, 2)))
    data[8:10] = struct.pack("!H", draw(st.integers(0, 2)))
    for at in draw(st.lists(st.integers(0, len(data) - 1), max_size=1)):
        data[at] = draw(st.integers(0, 255))
    pause = draw(st.sampled_from((0.0, 1.0, 4.0, 70.0)))
    return Step(bytes(data), draw(st.sampled_from(SOURCES)), pause)


def views() -> st.SearchStrategy[Index]:
    """Every machine of the captures in some state, one of them with a UUID of its own."""
    states = st.sampled_from((None, *(one for one in State if one is not State.REQUESTED)))
    return st.lists(states, min_size=len(MACS), max_size=len(MACS)).flatmap(
        lambda given: st.booleans().map(lambda named: _view(given, named))
    )


def _view(given: Sequence[State | None], named: bool) -> Index:
    entries = [rack.entry(mac, state) for mac, state in zip(MACS, given, strict=True)]
    if named:
        machine = dataclasses.replace(entries[0].machine, uuid=UUID)
        entries[0] = dataclasses.replace(entries[0], machine=machine)
    return rack.index(*entries[:-1])  # and one that nobody has enrolled


class House:
    """An exchange that keeps so many cases, and everything that comes of it."""

    def __init__(self, most: int, *, lends: bool = False) -> None:
        self.told: list[Any] = []
        self.kept: list[Any] = []
        self.cases = Cases(most)
        ours = IPv4Address(rack.ADDRESS)
        subnet = Subnet(Network("10.77.0.0/24"), (Range(f"{HERE}-10.77.0.170"),))
        lending = Lending(Lender(ours, (subnet,)), self.kept.append)
        self.exchange = Exchange(
            lambda *item: self.told.append(item), lending if lends else None, cases=self.cases
        )
        self.frames = Frames(b"\x52\x54\0\x77\0\1", ours, 67)

    def hear(self, step: Step, now: float) -> object:
        """What would leave: the whole frame, or payload and place."""
        try:
            outgoing = self.exchange.receive(step.data, step.source, now)
        except Malformed as error:
            return error.reason
        if outgoing is None:
            return None
        way = outgoing.way
        if isinstance(way, Datagram):
            return outgoing.payload, way
        frame = self.frames.filled(outgoing.stencil, way, outgoing.xid)
        assert frame == self.frames.frame(outgoing.payload, way.mac, way.address, way.port)
        return frame


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(views(), st.lists(steps(), max_size=40)), max_size=3), st.booleans())
def test_a_case_at_hand_changes_nothing(story: list[tuple[Index, list[Step]]], lends: bool) -> None:
    """The same answers, reports, leases and counts, whether none, few or all cases are kept."""
    houses = [House(most, lends=lends) for most in (0, 2, 4096)]
    now = 1000.0
    for index, heard in story:
        for house in houses:
            house.exchange.take(index)
        for step in heard:
            now += step.pause
            said = [house.hear(step, now) for house in houses]
            assert said[1:] == said[:-1]
    for one, other in itertools.pairwise(houses):
        assert one.told == other.told
        assert one.kept == other.kept
        assert one.exchange.counts == other.exchange.counts


def test_a_case_is_known_again_by_all_that_matters() -> None:
    """Another number, or more seconds, are the same case; any other octet, or place, is not."""
    house = House(4096)
    house.exchange.take(rack.index(*(rack.entry(mac) for mac in MACS)))
    data = RECORDED[0]
    for xid in range(5):
        again = data[:4] + struct.pack("!IH", xid, xid) + data[10:]
        house.hear(Step(again, SOURCES[0], 0), 1000.0)
    assert len(house.cases) == 1
    house.hear(Step(data, SOURCES[2], 0), 1000.0)
    house.hear(Step(data[:10] + b"\x80\0" + data[12:], SOURCES[0], 0), 1000.0)
    house.hear(Step(data[:3] + b"\1" + data[4:], SOURCES[0], 0), 1000.0)
    assert len(house.cases) == 4


def test_no_more_cases_are_kept_than_were_asked_for() -> None:
    """An enrolled machine's card can be borrowed, and its options made up without end."""
    house = House(3)
    house.exchange.take(rack.armed(*MACS))
    for number in range(50):
        made_up = RECORDED[0][:-1] + struct.pack("!BBH", 224, 2, number) + b"\xff"
        house.hear(Step(made_up, SOURCES[0], 0), 1000.0)
    assert len(house.cases) == 3


def test_strangers_are_not_kept() -> None:
    """Only machines that are enrolled have cases: cards can be made up without end."""
    house = House(4096)
    house.exchange.take(rack.index())
    for payload in RECORDED:
        house.hear(Step(payload, SOURCES[0], 0), 1000.0)
    assert len(house.cases) == 0


@given(
    st.binary(min_size=8, max_size=600), st.binary(min_size=4, max_size=4), st.integers(1, 65535)
)
def test_a_frame_that_is_filled_in_is_the_frame_that_is_built(
    payload: bytes, xid: bytes, port: int
) -> None:
    """Checksums and all, for any payload, number and port: also where a sum comes out zero."""
    frames = Frames(b"\x52\x54\0\x77\0\1", IPv4Address(rack.ADDRESS), 67)
    way = Frame(Mac("52:54:00:77:00:10").packed, IPv4Address("255.255.255.255"), port)
    stencil = Stencil(payload[:4], payload[8:], way)
    for number in (xid, bytes(4), b"\xff" * 4):
        whole = payload[:4] + number + payload[8:]
        expected = frames.frame(whole, way.mac, way.address, way.port)
        assert frames.filled(stencil, way, number) == expected
