"""Recorded requests, broken in every way that a seed can think of: no exception, and small answers.

The larger run is `deep`. A seed that finds something is kept by its number: add it to `FOUND`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from ironwake_tftp.layout import Source
from ironwake_tftp.packet import MalformedPacketError, Mode, Packet, ReadRequest, parse
from ironwake_tftp.transfer import Transfer
from tests.tftp.network import CLIENT, datagrams
from tests.tftp.recorded import requests

FOUND: list[int] = []
_ACKS = [b"\0\4\0\0", b"\0\4\0\1", b"\0\4\xff\xff", b"\0\5\0\x08User aborted the transfer\0"]
_WORDS = [b"blksize", b"windowsize", b"timeout", b"tsize", b"\0", b"octet", b"65465", b"-1", b"../"]
_SOURCE = Source(bytes(100_000))


def mutants(seed: int, count: int) -> Iterator[bytes]:
    """Each from a recorded datagram, by one to four changes."""
    dice = random.Random(seed)
    seeds = [data for data, _ in requests()] + _ACKS
    for _ in range(count):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randint(1, 4)):
            _change(data, dice)
        yield bytes(data)


def _change(data: bytearray, dice: random.Random) -> None:
    place = dice.randrange(len(data) + 1)
    kind = dice.randrange(5)
    if kind == 0 and place < len(data):
        data[place] = dice.randrange(256)
    elif kind == 1:
        del data[place:]
    elif kind == 2:
        data[place:place] = dice.choice(_WORDS)
    elif kind == 3:
        data[place:place] = data[: dice.randrange(len(data) + 1)]
    else:
        del data[place : place + dice.randrange(8)]


def understood(data: bytes) -> Packet | None:
    try:
        return parse(data)
    except MalformedPacketError:
        return None


def bear(seed: int, count: int) -> None:
    """Each mutant is a request, and then what a client says in the middle of a transfer."""
    wanted = ReadRequest("x", Mode.OCTET, 1468, 4)
    running = Transfer(wanted, _SOURCE, CLIENT, 0.0)
    for number, data in enumerate(mutants(seed, count)):
        packet = understood(data)
        if isinstance(packet, ReadRequest):
            asked = Transfer(packet, _SOURCE, CLIENT, 0.0)
            ((answer, to),) = datagrams(asked)
            assert to == CLIENT
            assert len(answer) <= 516, "without options a block, with options an OACK"
        if running.closed:
            running = Transfer(wanted, _SOURCE, CLIENT, 0.0)
        running.receive_datagram(data, CLIENT, number / 1000)
        assert len(datagrams(running)) <= 5


@pytest.mark.parametrize("seed", [*range(4), *FOUND])
def test_no_mutant_raises(seed: int) -> None:
    """Twenty thousand of them."""
    bear(seed, 5000)


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(100, 110))
def test_no_mutant_of_many_raises(seed: int) -> None:
    """Two hundred thousand more."""
    bear(seed, 20_000)
