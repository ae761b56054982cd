"""Who else is there is asked for ever, and told; what goes wrong ends nothing."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

import pytest
import structlog

from ironwake import wire
from ironwake.errors import InputError, RefusedError
from ironwake.report import Seen
from ironwake.site import ForeignServer
from ironwake_dhcp.watch_foreign import teller, watch

ROUTER, OURS = ForeignServer("10.77.0.1", boot_file="x"), ForeignServer("10.77.0.2")


def listen(
    ours: Callable[[], str], rounds: int = 4, *, alone: bool = False
) -> list[tuple[Seen, str, dict[str, str]]]:
    """What is told in so many rounds, in which the second and the third question fail."""
    told: list[tuple[Seen, str, dict[str, str]]] = []
    asked = 0

    def report(
        seen: Seen, mac: str = "", client: str = "", detail: dict[str, str] | None = None
    ) -> None:
        told.append((seen, client, detail or {}))

    tell = teller(report, alone=alone)

    async def run() -> None:
        done = asyncio.Event()

        async def ask() -> tuple[ForeignServer, ...]:
            nonlocal asked
            asked += 1
            if asked > rounds:
                done.set()
                await asyncio.Event().wait()
            if asked == 2:
                raise RefusedError("no right to ask")
            if asked == 3:
                raise OSError(errno.EMFILE, "Too many open files")
            return (ROUTER, OURS)

        task = asyncio.create_task(watch(ask, ours, tell, structlog.get_logger(), 0))
        await done.wait()
        task.cancel()

    asyncio.run(run())
    return told


def test_others_are_told_again_and_again() -> None:
    """Everyone but ourselves, after a question that could not be asked, too."""
    told = listen(lambda: "10.77.0.2")
    assert [(seen, client) for seen, client, _ in told] == [(Seen.FOREIGN, "10.77.0.1")] * 2
    assert wire.decode(ForeignServer, told[0][2]["server"]) == ROUTER


def test_an_interface_without_an_address_ends_nothing() -> None:
    """It may go at any moment, and come back."""

    def gone() -> str:
        raise InputError("lan0 has no IPv4 address")

    assert listen(gone) == []


@pytest.mark.parametrize("alone", [True, False])
def test_another_server_is_a_rival_where_we_meant_to_be_alone(alone: bool) -> None:
    """Beside a foreign server it is what was expected, and a boot server takes no client away."""
    (told, *_) = listen(lambda: "10.77.0.2", alone=alone)
    assert ("rival" in told[2]) is alone
    reports: list[dict[str, str]] = []
    booter = ForeignServer("10.77.0.9", pxe=True, gives_address=False)
    teller(lambda *said: reports.append(said[3]), alone=True)(booter)
    assert [*reports[0]] == ["server"]
