"""Datagrams broken in every way that a seed can think of: one way of mutating for every target."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_EDGES = (0, 1, 0x3F, 0x40, 0x7F, 0x80, 0xC0, 0xFE, 0xFF)  # where parsers change their mind


@dataclass(frozen=True)
class Soil:
    """What mutants grow from: good datagrams, words of the protocol, and the octets of a header.

    Most changes fall behind the header: one that is broken hides all that follows. `hot` are those
    of its octets that something hangs on.
    """

    seeds: Sequence[bytes]
    words: Sequence[bytes]
    header: int = 0
    hot: Sequence[int] = ()


def mutants(soil: Soil, seed: int, count: int) -> Iterator[bytes]:
    """`count` of them, the same for each `seed`."""
    dice = random.Random(seed)
    return (mutant(soil, dice) for _ in range(count))


def mutant(soil: Soil, dice: random.Random) -> bytes:
    """One, by one to six changes; hypothesis can throw the dice, too, and finds a simpler throw."""
    data = bytearray(dice.choice(soil.seeds))
    for _ in range(dice.randint(1, 6)):
        _change(data, soil, dice)
    return bytes(data)


def _change(data: bytearray, soil: Soil, dice: random.Random) -> None:
    if soil.hot and dice.random() < 0.15:
        place = dice.choice(soil.hot)
        if place < len(data):
            data[place] = dice.choice((*_EDGES, dice.randrange(256)))
        return
    first = soil.header if dice.random() < 0.8 and len(data) > soil.header else 0
    place = dice.randint(first, len(data))
    match dice.randrange(8):
        case 0 if place < len(data):
            data[place] = dice.randrange(256)
        case 1 if place < len(data):
            data[place] = dice.choice(_EDGES)
        case 2 if place < len(data):
            data[place] ^= 1 << dice.randrange(8)
        case 3:
            del data[place:]
        case 4:
            del data[place : place + dice.randint(1, 20)]
        case 5:
            data[place:place] = dice.choice(soil.words)
        case 6:  # doubled
            data[place:place] = data[place : place + dice.randint(1, 300)]
        case _:  # goes on as another one does
            other = dice.choice(soil.seeds)
            data[place:] = other[dice.randint(min(first, len(other)), len(other)) :]
