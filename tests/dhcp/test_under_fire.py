"""The real service on a cable, asked by thousands: what leaves it is counted outside of it."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.view import Index
from ironwake_dhcp.packet import MessageType
from ironwake_dhcp.rehearse import discover
from tests.dhcp import rack
from tests.dhcp.cable import Bench, bench, serving
from tests.dhcp.test_exchange import HERE, ROUTER, ask
from tests.fuzz.dhcp import ARMED, SOIL
from tests.fuzz.mutate import mutants

pytestmark = pytest.mark.root

OURS = "02:77:00:00:00:01"
LAST = Mac("52:54:00:77:77:77")  # armed everywhere: its OFFER says that all before it were heard
_SWEEP, _BATCH = 10_000, 100
_CHADDR = slice(28, 34)
_FIRST = 0x5254_0100_0000
_ENROLLED = {  # cards of the sweep that are machines of ours, and shall not boot
    7: rack.entry(str(Mac.from_bytes((_FIRST + 7).to_bytes(6, "big"))), None),
    8: rack.entry(str(Mac.from_bytes((_FIRST + 8).to_bytes(6, "big"))), locked=True),
    9: rack.entry(str(Mac.from_bytes((_FIRST + 9).to_bytes(6, "big"))), State.SUCCEEDED),
}


@pytest.fixture
def place() -> Iterator[Bench]:
    with bench() as made:
        made.plug("lan0", rack.ADDRESS, OURS)
        yield made


def framed(payload: bytes, to: int = 67) -> bytes:
    """A broadcast of the card that the payload names."""
    link = Ether(src=payload[_CHADDR].hex(":"), dst="ff:ff:ff:ff:ff:ff")
    head = IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=to, chksum=0)
    return bytes(link / head / payload)


def sent_by_us(tap: socket.socket) -> Iterator[bytes]:
    """The UDP payloads that leave the service's card."""
    ours = bytes.fromhex(OURS.replace(":", ""))
    while True:
        frame = tap.recv(4096)
        if frame[6:12] == ours and frame[12:14] == b"\x08\0" and frame[23] == 17:
            yield frame[42:]


def answers(tap: socket.socket, asked: Iterable[bytes]) -> Iterator[bytes]:
    """Send these frames, some at a time, and give what is answered but for `LAST`."""
    mark = framed(discover(LAST, rack.BIOS))
    rest, heard = iter(asked), sent_by_us(tap)
    while batch := list(islice(rest, _BATCH)):
        for frame in batch:
            tap.send(frame)
        tap.send(mark)
        for payload in heard:
            if payload[_CHADDR] == LAST.packed:
                break
            yield payload


def site(*more: object) -> Index:
    return rack.index(rack.entry(LAST), *more)  # type: ignore[arg-type]


def sweep() -> Iterator[bytes]:
    """Each card once, in turns as every kind of client: firmware, and what is none."""
    plain = discover(LAST, rack.EDK2).replace(b"PXEClient", b"MSFT 5.0\0")
    kinds = [
        *(discover(LAST, firmware) for firmware in (rack.BIOS, rack.EDK2, rack.HTTP, rack.IPXE)),
        plain,
        ask(MessageType.REQUEST, (50, HERE.packed), (54, ROUTER.packed), mac=LAST),
        ask(MessageType.INFORM, mac=LAST),
    ]
    frames = [framed(data, port) for port in (67, 4011) for data in kinds]
    for number in range(_SWEEP):
        mac = (_FIRST + number).to_bytes(6, "big")
        yield frames[number % len(frames)].replace(LAST.packed, mac)


def memory(pid: int) -> int:
    """Resident octets of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_ten_thousand_cards_that_shall_not_boot(place: Bench, tmp_path: Path) -> None:
    """Unknown, unarmed, locked, installed, as any kind of client, on both ports: 0 packets leave,
    every one was looked at, and neither memory nor descriptors have grown."""
    with (
        serving(place, tmp_path, "lan0", site(*_ENROLLED.values())) as service,
        place.tap("lan0") as tap,
    ):
        first = sweep()
        assert not list(answers(tap, islice(first, 2000)))
        descriptors = Path(f"/proc/{service.pid}/fd")
        before, open_before = memory(service.pid), len(list(descriptors.iterdir()))
        assert not list(answers(tap, first))
        assert len(list(descriptors.iterdir())) == open_before
        assert memory(service.pid) - before < 8 << 20
        counts = service.counts()
    assert counts == {"quiet": _SWEEP, "offer": _SWEEP // _BATCH}


def test_mutants_on_the_wire(place: Bench, tmp_path: Path) -> None:
    """Four thousand at the real service: whom it answers is armed, and it ends when it is told."""
    machines = [rack.entry(str(Mac.from_bytes(card))) for card in ARMED]
    whole = [data for data in mutants(SOIL, 5, 4000) if 34 <= len(data) <= 1472]
    asked = (framed(data, (67, 4011)[n % 2]) for n, data in enumerate(whole))
    with (
        serving(place, tmp_path, "lan0", site(*machines)) as service,
        place.tap("lan0") as tap,
    ):
        heard = list(answers(tap, asked))
        assert len(heard) > 50
        assert {payload[_CHADDR] for payload in heard} <= ARMED
        assert {payload[0] for payload in heard} == {2}
        counts = service.counts()
    assert sum(counts.values()) >= len(whole)


def test_a_mad_card_has_its_limit(place: Bench, tmp_path: Path) -> None:
    """Hundreds of its DISCOVERs at once are cut down to its share; others are answered."""
    mad = framed(discover(rack.NODE, rack.BIOS))
    with (
        serving(place, tmp_path, "lan0", site(rack.entry()), dhcp_card_rate="100") as service,
        place.tap("lan0") as tap,
    ):
        heard = list(answers(tap, [mad] * 100))
        assert 10 <= len(heard) < 100
        counts = service.counts()
    assert counts["over the limit for a card"] == 100 - len(heard)


def test_all_cards_together_have_a_limit(place: Bench, tmp_path: Path) -> None:
    """A flood of made-up cards is looked at to the limit; who repeats itself is answered soon."""
    with (
        serving(place, tmp_path, "lan0", site(), dhcp_rate="100") as service,
        place.tap("lan0") as tap,
    ):
        for frame in islice(sweep(), 1000):
            tap.send(frame)
        tap.settimeout(0.05)
        heard = sent_by_us(tap)
        while True:  # as firmware does
            tap.send(framed(discover(LAST, rack.BIOS)))
            try:
                assert next(heard)[_CHADDR] == LAST.packed
            except TimeoutError:
                heard = sent_by_us(tap)
            else:
                break
        counts = service.counts()
    assert counts["over the limit for all"] > 500
    assert counts["quiet"] < 500
