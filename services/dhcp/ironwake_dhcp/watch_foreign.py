"""Beside whom this service runs: asked again and again, and told to the controller.

What a foreign DHCP server says about booting decides what works on this network: a boot file of its
own in the BOOTP field leads shim astray. Where we are the DHCP server, another one takes clients
away. A server may come, go, or be configured anew at any time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ironwake import wire
from ironwake.errors import IronwakeError
from ironwake.report import Report, Seen
from ironwake.site import ForeignServer
from ironwake_runtime.service import Log

PAUSE = 240.0  # seconds between questions; the controller forgets a server after 900


async def watch(
    ask: Callable[[], Awaitable[tuple[ForeignServer, ...]]],
    ours: Callable[[], str],
    tell: Callable[[ForeignServer], None],
    log: Log,
    pause: float = PAUSE,
) -> None:
    """Ask for ever, and tell of everyone who answers.

    :param ask: gives the servers that answer now; IronwakeError or OSError where that is impossible
    :param ours: our own address
    """
    while True:
        try:
            for server in await ask():
                if server.address != ours():
                    tell(server)
        except (IronwakeError, OSError) as error:  # our own address has just gone; no descriptor
            log.warning("who else serves this network is not known", error=str(error))
        await asyncio.sleep(pause)


def teller(report: Report, *, alone: bool) -> Callable[[ForeignServer], None]:
    """Reports a server; where we meant to be `alone` in giving addresses, as a rival if it does."""

    def tell(server: ForeignServer) -> None:
        detail = {"server": wire.encode(server).decode()}
        if alone and server.gives_address:
            detail["rival"] = "yes"
        report(Seen.FOREIGN, "", server.address, detail)

    return tell
