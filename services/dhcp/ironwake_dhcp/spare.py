"""Which address comes next, of those that anybody may have: pure, and no dearer for a large pool.

Never given ones come first, in the order of the pools, which are walked as far as needed; then the
one whose lease ended longest ago. An address that is kept for somebody (offered, or reserved) is
dropped where it is met, and stands here again when the book says that it is `back`.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address
from typing import Protocol


class Held(Protocol):
    """What a lease is here; seconds of the book's clock."""

    @property
    def expires(self) -> float: ...


class Spare:
    """`walk` gives the pools' addresses, `held` is the book's own record of who has which.

    `is_kept` tells whether an address is kept for somebody now.
    """

    def __init__(
        self,
        walk: Iterator[IPv4Address],
        held: Mapping[IPv4Address, Held],
        is_kept: Callable[[IPv4Address], bool],
    ) -> None:
        self._walk = walk
        self._held = held
        self._is_kept = is_kept
        # Taken from the front all the time: a dict would step over all that went before.
        self._unused: OrderedDict[IPv4Address, None] = OrderedDict()  # come by, and not given
        self._ends: list[tuple[float, int]] = []  # a heap; entries of older leases are skipped

    def gone(self, address: IPv4Address) -> None:
        """It was offered, given, or reserved."""
        self._unused.pop(address, None)

    def back(self, address: IPv4Address) -> None:
        """It is kept for nobody any more."""
        held = self._held.get(address)
        if held is None:
            self._unused[address] = None
        else:
            heapq.heappush(self._ends, (held.expires, int(address)))

    def written(self, address: IPv4Address) -> None:
        """It has another lease now, which will end."""
        self.gone(address)
        heapq.heappush(self._ends, (self._held[address].expires, int(address)))
        if len(self._ends) > 4 * len(self._held) + 1000:
            self._ends = [(held.expires, int(a)) for a, held in self._held.items()]
            heapq.heapify(self._ends)

    def addresses(self, now: float) -> Iterator[IPv4Address]:
        """The next ones, the best first; nothing may change before the last that is wanted."""
        yield from self._unused
        for address in self._walk:
            if address in self._held or address in self._unused or self._is_kept(address):
                continue
            self._unused[address] = None
            yield address
        yield from self._lapsed(now)

    def _lapsed(self, now: float) -> Iterator[IPv4Address]:
        seen: list[tuple[float, int]] = []
        try:
            while self._ends and self._ends[0][0] <= now:
                end = heapq.heappop(self._ends)
                address = IPv4Address(end[1])
                renewed = self._held[address].expires != end[0]
                if renewed or self._is_kept(address) or seen[-1:] == [end]:
                    continue
                seen.append(end)
                yield address
        finally:
            for end in seen:
                heapq.heappush(self._ends, end)
