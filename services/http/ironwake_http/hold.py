"""Waiting for a controller that is away: a machine in mid-boot does not ask twice, so we do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from ironwake.errors import BrokenError

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """`pauses` between attempts, and how long all of it may take; seconds."""

    seconds: float = 30.0
    pauses: tuple[float, ...] = (0.2, 0.5, 1.0, *(2.0,) * 14)


async def held(call: Callable[[], Awaitable[T]], patience: Patience, gone: Callable[[], bool]) -> T:
    """What `call` returns or raises; its BrokenError only once our patience is at an end.

    `gone` says whether the client has left: nobody must take a payload that nobody will read.
    """
    try:
        async with asyncio.timeout(patience.seconds):
            for pause in patience.pauses:
                try:
                    return await call()
                except BrokenError:
                    if gone():
                        raise
                    await asyncio.sleep(pause)
            return await call()
    except TimeoutError:
        raise BrokenError(
            f"the controller did not answer for {patience.seconds:g} seconds",
            "see whether it runs: ironwake doctor",
        ) from None
