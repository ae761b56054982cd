"""DHCP under mutants of what real firmware sent: nothing but `Malformed`, and silence where due."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.dhcp import ARMED, RECORDED, SOIL, Judged, at_every_door
from tests.fuzz.mutate import mutant, mutants
from tests.fuzz.regressions import bear, known


def run(number: int, count: int, *, lends: bool) -> Judged:
    judged = Judged(lends)
    bear("dhcp", judged.test, mutants(SOIL, number, count))
    return judged


def test_recorded_requests_are_answered() -> None:
    """The judge lets pass what is right: armed machines get offers, everyone a lease."""
    proxy, server = Judged(), Judged(lends=True)
    for data in RECORDED:
        proxy.test(data)
        server.test(data)
    assert proxy.counts["answered"] > len([data for data in RECORDED if data[28:34] in ARMED]) / 4
    assert server.counts["answered"] > proxy.counts["answered"]
    assert not proxy.counts["malformed"] + server.counts["malformed"]


@pytest.mark.parametrize("lends", [False, True], ids=["proxy", "server"])
def test_mutants(lends: bool) -> None:
    """Five thousand. Some are still good for an answer: else it would tell nothing."""
    judged = run(1, 5000, lends=lends)
    assert all(judged.counts[kind] > 100 for kind in ("answered", "silent", "malformed", "told"))


def test_what_was_found_stays_mended() -> None:
    """Every datagram that once did harm, at every door, in both modes."""
    bear("dhcp", at_every_door, known("dhcp"))


@pytest.mark.deep
@pytest.mark.parametrize("number", range(100, 110))
@pytest.mark.parametrize("lends", [False, True], ids=["proxy", "server"])
def test_many_mutants(lends: bool, number: int) -> None:
    """Four hundred thousand, half of them in each mode."""
    run(number, 20_000, lends=lends)


@pytest.mark.deep
@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("lends", [False, True], ids=["proxy", "server"])
def test_many_mutants_of_hypothesis(lends: bool, number: int) -> None:
    """A hundred thousand; of one that fails, the simplest is shown."""
    judged = Judged(lends)

    @seed(number)
    @settings(max_examples=5_000, database=None)
    @given(st.randoms(use_true_random=False))
    def judge(dice: random.Random) -> None:
        bear("dhcp", judged.test, [mutant(SOIL, dice)])

    judge()
