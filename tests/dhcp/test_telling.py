"""The controller hears of every lease, and of all of them after a silence, in parts."""

from __future__ import annotations

import asyncio
import itertools
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from structlog import get_logger

from ironwake import lease as told
from ironwake.errors import BrokenError
from ironwake.ipv4 import Network, Range
from ironwake.lease import in_order
from ironwake.mac import Mac
from ironwake.moment import Moment
from ironwake.subnet import Subnet
from ironwake_dhcp.book import Book, Lease
from ironwake_dhcp.telling import Telling, pages
from tests.dhcp import keeper

EVERYTHING = (0, 2**32 - 1)
MAC = Mac("52:54:00:77:00:10")


def whose(_: IPv4Address) -> str:
    return "10.0.0.0/8"


@given(st.sets(st.integers(0x0A000001, 0x0A0000FF), max_size=60), st.integers(1, 20))
def test_the_parts_cover_all_addresses_once(numbers: set[int], size: int) -> None:
    """Each part is whole for its range, the ranges join without a gap, and no lease is missing."""
    leases = [Lease(IPv4Address(number), MAC, 1.0) for number in numbers]
    parts = list(pages(leases, whose, keeper.now(), size))
    ranges = [(in_order(part.first), in_order(part.last)) for part in parts]
    assert (ranges[0][0], ranges[-1][1]) == EVERYTHING
    for (_, end), (start, _) in itertools.pairwise(ranges):
        assert start == end + 1
    for part, (first, last) in zip(parts, ranges, strict=True):
        assert len(part.items) <= size
        assert all(first <= in_order(item.address) <= last for item in part.items)
    assert sum(len(part.items) for part in parts) == len(numbers)


class Controller:
    """Takes what it is told, fails when it shall, and says when it has heard enough."""

    def __init__(self, *failing: int) -> None:
        self.heard: list[told.Leases] = []
        self.calls = 0
        self.failing = failing
        self.news = asyncio.Event()

    async def leases(self, news: told.Leases) -> None:
        self.calls += 1
        if self.calls in self.failing:
            raise BrokenError("it is away")
        self.heard.append(news)
        self.news.set()

    async def next(self) -> told.Leases:
        while not self.heard:
            self.news.clear()
            await self.news.wait()
        return self.heard.pop(0)


def test_everything_first_then_news_then_everything_after_a_failure() -> None:
    """A controller that was away may have missed something: it gets the whole list again."""

    async def story() -> None:
        controller = Controller(3)
        subnet = Subnet(Network("10.77.0.0/24"), (Range("10.77.0.100-10.77.0.110"),))
        book = Book(subnet, IPv4Address("10.77.0.1"))
        telling = Telling(controller, lambda: (book,), get_logger(), keeper.now)  # type: ignore[arg-type]
        task = asyncio.create_task(telling.run())
        try:
            async with asyncio.timeout(30):
                assert (await controller.next()).items == ()
                for last in (100, 101):
                    (lease,) = book.bind(
                        Mac.from_bytes(bytes((2, 0, 0, 0, 0, last))),
                        IPv4Address(f"10.77.0.{last}"),
                        5.0,
                        "phone",
                    )
                    telling.tell(lease)
                    telling.tell(lease)
                    news = await controller.next()
                    assert bool(news.first) == (last == 101)  # the third call failed
                    assert [item.hostname for item in news.items] == ["phone"] * (last - 99)
                    assert {item.subnet for item in news.items} == {"10.77.0.0/24"}
                telling.tell_all()
                assert (await controller.next()).first
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())


def test_after_a_leap_of_the_time_of_day_everything_is_told_anew() -> None:
    """Dates before and after it would not fit together: who came first must stay the first."""

    async def story() -> None:
        controller = Controller()
        subnet = Subnet(Network("10.77.0.0/24"), (Range("10.77.0.100-10.77.0.110"),))
        book = Book(subnet, IPv4Address("10.77.0.1"))
        clock = [Moment("run-1", 100.0, 1.8e9)]
        telling = Telling(
            controller,  # type: ignore[arg-type]
            lambda: (book,),
            get_logger(),
            lambda: clock[-1],
        )
        task = asyncio.create_task(telling.run())
        try:
            async with asyncio.timeout(30):
                await controller.next()
                (lease,) = book.bind(MAC, IPv4Address("10.77.0.100"), 100.0)
                telling.tell(lease)
                (item,) = (await controller.next()).items
                assert (item.since, item.expires) == (1.8e9, 1.8e9 + 3600)
                clock.append(Moment("run-1", 150.0, 1.9e9 + 50))
                (other,) = book.bind(Mac("52:54:00:77:00:11"), IPv4Address("10.77.0.101"), 150.0)
                telling.tell(other)
                news = await controller.next()
                assert news.first
                assert [one.since for one in news.items] == [1.9e9, 1.9e9 + 50]
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())
