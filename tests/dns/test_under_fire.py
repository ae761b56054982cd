"""The real service on a cable, with its limits as shipped, asked by who never reads."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from dnslib import DNSRecord

from ironwake_lab import network
from ironwake_testing.hostile_http import peak_memory
from tests.dhcp.cable import Bench, bench, ip
from tests.dns.process import ADDRESS, serving
from tests.fuzz.dns import SOIL
from tests.fuzz.mutate import mutants

pytestmark = pytest.mark.root

_PORT = 53
_BATCH = 100
_PIECE = 500  # questions
_TIMES = 50
_ROOM = 8 << 20  # octets that it may grow by
_PATIENCE = 60.0  # for what must come


@pytest.fixture
def place() -> Iterator[Bench]:
    with bench() as made:
        made.plug("lan0", ADDRESS, "02:77:00:00:00:01")
        ip("address", "add", "192.0.2.9/24", "dev", "m-lan0", inside=made.theirs)
        yield made


def line(place: Bench, kind: socket.SocketKind) -> socket.socket:
    """A client's socket."""
    made = network.inside(place.theirs, lambda: socket.socket(socket.AF_INET, kind))
    made.settimeout(_PATIENCE)
    return made


def asked(place: Bench, rows: Iterator[bytes]) -> None:
    """Send all of them, from time to time with a good question behind, which is answered."""
    good = bytes(DNSRecord.question("node1.site.example").pack())
    with line(place, socket.SOCK_DGRAM) as flood:
        flood.connect((ADDRESS, _PORT))
        while batch := list(islice(rows, _BATCH)):
            for data in batch:
                flood.send(data)
            with line(place, socket.SOCK_DGRAM) as client:
                client.connect((ADDRESS, _PORT))
                client.send(good)
                assert str(DNSRecord.parse(client.recv(2048)).a.rdata) == "192.0.2.10"


def names(count: int) -> Iterator[bytes]:
    """Good questions, each another one, as long as may be: the answer to each could be kept."""
    tail = ".".join(["x" * 60] * 3)
    for number in range(count):
        yield bytes(DNSRecord.question(f"n{number}.{tail}.site.example").pack())


def poured(place: Bench) -> int:
    """Question after question by TCP, of which no answer is read, until it is ended; octets."""
    message = bytes(DNSRecord.question("x" * 60 + ".site.example", "ANY").pack())
    piece, sent = (len(message).to_bytes(2, "big") + message) * _PIECE, 0
    with line(place, socket.SOCK_STREAM) as sock:
        # Little room, so that what it does not read is soon too much.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((ADDRESS, _PORT))
        with contextlib.suppress(ConnectionError):
            while True:
                sent += sock.send(piece)
    return sent


def test_floods_hold_no_memory(place: Bench, tmp_path: Path) -> None:
    """Thousands of mutants and of good names, whose answers nobody reads, and one who asks by TCP
    for as long as it may, again and again, and reads nothing: the process grows by less than 8 MiB.
    """
    with serving(place.ours, "lan0", tmp_path, _PORT) as process:
        asked(place, mutants(SOIL, 9, 200))
        before = peak_memory(process.pid)
        assert all(poured(place) for _ in range(_TIMES))
        asked(place, mutants(SOIL, 10, 20_000))
        asked(place, names(20_000))
        grown = peak_memory(process.pid) - before
    assert grown < _ROOM, grown
