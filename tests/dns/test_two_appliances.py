"""Two real services on one cable, and forged packets that would have them talk for ever."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from dnslib import DNSHeader, DNSQuestion, DNSRecord
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from ironwake_lab import network
from tests.dhcp.cable import Bench, bench, ip
from tests.dns.process import ADDRESS as ONE
from tests.dns.process import serving
from tests.fuzz.dns import RESPONSE, SOIL
from tests.fuzz.mutate import mutants

pytestmark = pytest.mark.root

OTHER = "192.0.2.2"
_CARDS = {ONE: "02:77:00:00:00:01", OTHER: "02:77:00:00:00:02"}
_PATIENCE = 60.0  # for what must come


@pytest.fixture
def place() -> Iterator[Bench]:
    with bench() as made:
        made.plug("lan0", ONE, _CARDS[ONE])
        ip("link", "set", "m-lan0", "address", _CARDS[OTHER], inside=made.theirs)
        ip("address", "add", f"{OTHER}/24", "dev", "m-lan0", inside=made.theirs)
        yield made


def forged(payload: bytes, port: int) -> bytes:
    """A packet for `ONE` that says it is from `OTHER`'s service."""
    link = Ether(src=_CARDS[OTHER], dst=_CARDS[ONE])
    return bytes(link / IP(src=OTHER, dst=ONE) / UDP(sport=port, dport=port, chksum=0) / payload)


def between(tap: socket.socket, port: int) -> Iterator[tuple[str, int]]:
    """Source and its port of what is on the cable, but for what `tap` itself has sent."""
    while True:
        frame = tap.recv(4096)
        if frame[12:14] != b"\x08\0" or frame[23] != 17:
            continue
        yield socket.inet_ntoa(frame[26:30]), int.from_bytes(frame[34:36], "big")


def answered(namespace: str, source: str, to: str, port: int) -> None:
    """A plain client of that namespace asks the service at `to`, and is answered."""

    def ask() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((source, 0))
            sock.settimeout(_PATIENCE)
            sock.sendto(DNSRecord.question("node1.site.example").pack(), (to, port))
            assert str(DNSRecord.parse(sock.recv(2048)).a.rdata) == "192.0.2.10"

    network.inside(namespace, ask)


def drawn(place: Bench, tap: socket.socket, payloads: list[bytes], port: int) -> list[str]:
    """Who of the two said something to the other, until both have answered an honest client."""
    found = []
    heard = between(tap, port)
    for payload in payloads:
        tap.send(forged(payload, port))
    # Behind what was forged, and then behind whatever the first one had to say to it.
    answered(place.theirs, OTHER, ONE, port)
    answered(place.ours, ONE, OTHER, port)
    answered(place.theirs, OTHER, ONE, port)
    honest = 0
    while honest < 3:
        source, number = next(heard)
        if number != port:
            honest += 1  # an honest question; its answer is one of what is counted
        else:
            found.append(source)
    return found


def shapes() -> list[bytes]:
    """A question, one that is refused, one that is none, an opcode, a response, and mutants."""
    zone, foreign = DNSRecord.question("site.example"), DNSRecord.question("example.org")
    notify = DNSRecord(DNSHeader(opcode=4), questions=[DNSQuestion("site.example")])
    broken = bytes(zone.pack())[:-3]
    plain = [bytes(record.pack()) for record in (zone, foreign, notify)]
    return [*plain, broken, RESPONSE, *islice(mutants(SOIL, 6, 45), 45)]


@pytest.mark.parametrize("port", [53, 5301])
def test_two_appliances_do_not_talk_to_each_other(place: Bench, tmp_path: Path, port: int) -> None:
    """From port 53, where servers are, nothing is answered; from another, each forged question
    draws one answer, and that draws none."""
    payloads = shapes()
    with (
        serving(place.ours, "lan0", tmp_path / "one", port),
        serving(place.theirs, "m-lan0", tmp_path / "other", port),
        place.tap("lan0") as tap,
    ):
        said = drawn(place, tap, payloads, port)
        again = drawn(place, tap, [], port)
    questions = sum(len(data) >= 12 and not data[2] & 0x80 for data in payloads)
    # Two honest clients asked `ONE` by then, one asked `OTHER`: their answers are on the cable.
    assert said.count(OTHER) == 1, "an answer was answered"
    assert said.count(ONE) in ((1, 2) if port == 53 else (questions + 1, questions + 2))
    assert again.count(OTHER) == 1
    assert again.count(ONE) <= 3
