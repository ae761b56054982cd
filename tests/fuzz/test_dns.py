"""DNS under mutants of good questions, through its sockets: one small answer, or silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from tests.dns.rig import ask, play, serving
from tests.fuzz.dns import RESPONSE, SOIL, judge_all
from tests.fuzz.mutate import Soil, mutants
from tests.fuzz.regressions import known


def run(datagrams: Iterable[bytes], patience: float = 60.0) -> Counter[str]:
    """They are judged, nothing failed inside, and the service answers as before."""
    found: Counter[str] = Counter()

    async def scene() -> None:
        async with serving() as server:
            found.update(await judge_all(server, datagrams))
            again = await ask(server, "node1.site.example")
            assert str(again.a.rdata) == "127.0.0.10"
            assert server.counters["failed"] == 0

    play(scene, patience)
    return found


def test_mutants() -> None:
    """Five thousand; all that a question can come to is among what they came to."""
    found = run(mutants(SOIL, 1, 5000))
    assert set(found) >= {"silent", "NOERROR", "NXDOMAIN", "FORMERR", "NOTIMP", "REFUSED"}


def test_responses() -> None:
    """A thousand mutants of an answer, as good as they are: not one draws another."""
    found = run(
        data[:2] + bytes((data[2] | 0x80,)) + data[3:]
        for data in mutants(Soil([RESPONSE], SOIL.words, 12), 2, 1000)
        if len(data) > 2
    )
    assert set(found) == {"silent"}


def test_what_was_found_stays_mended() -> None:
    """Every datagram that once did harm, here or to others' servers."""
    run(known("dns"))


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(100, 104))
def test_many_mutants(seed: int) -> None:
    """Forty thousand."""
    run(mutants(SOIL, seed, 10_000), patience=600.0)
