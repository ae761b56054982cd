"""Tells the controller who has which address: what changed, and everything after a silence.

Told are dates, by the time of day as it is then; after a leap of it everything is told anew, so
that all dates are of one kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address
from typing import Final

import structlog

from ironwake import lease as told
from ironwake.errors import IronwakeError
from ironwake.ipv4 import Address
from ironwake.moment import Moment
from ironwake_dhcp.book import Book, Lease
from ironwake_runtime.controller import ControllerClient, Waits
from ironwake_runtime.outage import Outage

_BATCH: Final = 1000  # leases in one call, which has to stay below a mebibyte
_AGAIN: Final = 600.0  # seconds of quiet: who restored an older database has not told us
_RESTS: Final = 4.0  # times as long as a call took, before the next one
_LONGEST: Final = 1.0  # seconds of such a rest
_LEAP: Final = 1.0  # seconds that the time of day may drift off the steady clock
_FIRST, _LAST = IPv4Address("0.0.0.0"), IPv4Address("255.255.255.255")  # noqa: S104 (no bind)


class Telling:
    """`tell` notes a lease, without waiting; `run` sends.

    A controller that was away may have missed something, or be another one: it gets the whole list.
    """

    def __init__(
        self,
        client: ControllerClient,
        books: Callable[[], tuple[Book, ...]],
        log: structlog.stdlib.BoundLogger,
        now: Callable[[], Moment],
    ) -> None:
        self._client = client
        self._books = books
        self._silence = Outage(log, "leases not told")
        self._now = now
        self._told = now()  # when all were told
        self._news: dict[IPv4Address, Lease] = {}
        self._whole = True
        self._wake = asyncio.Event()

    def tell(self, lease: Lease) -> None:
        """Have it sent; of one address the last word only."""
        self._news[lease.address] = lease
        self._wake.set()

    def tell_all(self) -> None:
        """Have the whole list sent."""
        self._whole = True
        self._wake.set()

    async def run(self) -> None:
        """For ever; a controller that is away is only logged."""
        waits = Waits()
        while True:
            try:
                if self._whole:
                    await self._send_all()
                    waits.reset()
                    self._silence.over()
                try:
                    async with asyncio.timeout(_AGAIN):
                        await self._wake.wait()
                except TimeoutError:
                    self._whole = True
                now = self._now()
                self._whole |= abs(self._told.date(now.steady) - now.wall) > _LEAP
                if not self._whole:
                    await self._send_news()
            except IronwakeError as error:
                self._silence.failed(error)
                self._whole = True
                await asyncio.sleep(waits.next())

    async def _send_all(self) -> None:
        self._news.clear()
        self._wake.clear()
        self._whole = False
        leases = [lease for book in self._books() for lease in book.all()]
        self._told = self._now()
        for news in pages(leases, self._subnet, self._told):
            await self._client.leases(news)

    async def _send_news(self) -> None:
        self._wake.clear()
        clock = asyncio.get_running_loop().time
        began = clock()
        news, self._news, now = list(self._news.values()), {}, self._now()
        for start in range(0, len(news), _BATCH):
            items = tuple(_shown(one, self._subnet, now) for one in news[start : start + _BATCH])
            await self._client.leases(told.Leases(items, now.wall))
        # A rush of clients makes large calls, not many: most of the time is for answering them.
        await asyncio.sleep(min(_RESTS * (clock() - began), _LONGEST))

    def _subnet(self, address: IPv4Address) -> str:
        books = (str(book.network) for book in self._books() if book.has(address))
        return next(books, "")  # it has just been taken out of the file


def pages(
    leases: Iterable[Lease], subnet: Callable[[IPv4Address], str], now: Moment, size: int = _BATCH
) -> Iterator[told.Leases]:
    """The whole list in parts: together they cover all addresses, so that what is gone goes."""
    ordered = sorted(leases, key=lambda lease: lease.address)
    parts = [ordered[at : at + size] for at in range(0, len(ordered), size)] or [[]]
    first = _FIRST
    for number, part in enumerate(parts):
        last = part[-1].address if number < len(parts) - 1 else _LAST
        items = tuple(_shown(lease, subnet, now) for lease in part)
        yield told.Leases(items, now.wall, str(first), str(last))
        first = IPv4Address(min(int(last) + 1, int(_LAST)))


def _shown(lease: Lease, subnet: Callable[[IPv4Address], str], now: Moment) -> told.Lease:
    return told.Lease(
        Address(str(lease.address)),
        lease.mac,
        subnet(lease.address),
        max(0.0, now.date(lease.expires)),
        lease.hostname,
        max(0.0, now.date(lease.since)),
    )
