"""How much is too much: of one card, and in total."""

from __future__ import annotations

import struct
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake.mac import Mac
from ironwake.report import Seen
from ironwake_dhcp.exchange import Exchange
from ironwake_dhcp.pace import Limits, Pace
from ironwake_dhcp.rehearse import discover
from ironwake_dhcp.sightings import Sightings
from tests.dhcp import rack
from tests.dhcp.test_exchange import SERVER, ask


@settings(max_examples=200)
@given(st.lists(st.floats(0, 0.5), max_size=200), st.floats(1, 50), st.integers(1, 20))
def test_no_stretch_of_time_has_more_than_its_share(
    pauses: list[float], rate: float, burst: int
) -> None:
    """However they come: between any two that pass lie as many at most as rate and burst allow."""
    pace, now, passed = Pace(rate, burst), 0.0, []
    for pause in pauses:
        now += pause
        if pace.admits("card", now):
            passed.append(now)
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + rate * (passed[last] - start) + 0.02


def test_who_keeps_the_pace_always_passes() -> None:
    """Refusals do not count, and what was too much is forgiven as time goes by."""
    pace = Pace(10, 5)
    assert [pace.admits("card", 1.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert not pace.admits("card", 1.05)
    assert [pace.admits("card", 1.1 + n / 10) for n in range(50)] == [True] * 50
    assert [pace.admits("card", 60.0) for _ in range(6)] == [True] * 5 + [False]


def test_a_sweep_of_cards_fills_no_memory() -> None:
    """Neither quiet cards nor busy ones: the busy ones that came first are forgotten."""
    for pause in (0.0, 1.0):
        pace = Pace(10, 2, most=64)
        for number in range(1000):
            assert pace.admits(number, number * pause)
        assert len(pace) <= 64


def test_one_card_cannot_use_up_what_is_for_all() -> None:
    """A mad client is cut down to its share, and its neighbour is answered."""
    exchange = Exchange(lambda *_: None, None, Limits(card=100, total=1000))
    other = Mac("52:54:00:77:00:11")
    exchange.take(rack.armed(rack.NODE, other))
    answers = [exchange.receive(ask(), SERVER, 1.0) for _ in range(80)]
    assert sum(answer is not None for answer in answers) == 10
    assert exchange.receive(ask(mac=other), SERVER, 1.0) is not None
    assert exchange.counts == {"offer": 11, "over the limit for a card": 70}
    assert exchange.receive(ask(), SERVER, 1.02) is not None


def test_all_together_have_a_limit_too() -> None:
    """Cards may be made up: a flood of them is looked at to its limit, and costs no memory."""
    exchange = Exchange(lambda *_: None, None, Limits(card=100, total=1000))
    exchange.take(rack.armed())
    for number in range(1000):
        mac = Mac.from_bytes(struct.pack("!HI", 0x5254, number))
        assert exchange.receive(discover(mac, rack.EDK2), SERVER, 1.0) is None
    assert exchange.counts == {"quiet": 100, "over the limit for all": 900}
    assert exchange.receive(ask(), SERVER, 2.0) is not None


def test_a_card_that_changes_its_story_is_told_of_now_and_then() -> None:
    """Each new shape of an offer is news; a client that asks without end makes few lines of it."""
    told: list[Seen] = []
    exchange = Exchange(lambda seen, *_: told.append(seen))
    exchange.take(rack.armed())
    for xid in range(1000):
        data = discover(rack.NODE, rack.EDK2, xid)
        assert exchange.receive(data, SERVER, xid / 100) is not None
    assert set(told) == {Seen.OFFERED}
    assert 8 <= len(told) <= 8 + 2


def test_strangers_do_not_crowd_out_the_enrolled() -> None:
    """What is told of made-up cards is little; a machine's first word is among what is told."""
    told: Counter[bool] = Counter()
    sightings = Sightings()
    for number in range(5000):
        told[sightings.is_news(Seen.DHCP, str(number), "x", 0.0, stranger=True)] += 1
    assert told[True] == 100
    assert sightings.is_news(Seen.DHCP, "node", "x", 0.0)
    assert sightings.is_news(Seen.DHCP, "4999", "x", 1.0, stranger=True)
