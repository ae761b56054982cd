"""Interfaces of this host: what can be known without root is loopback, and what is not there."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog
from structlog.testing import capture_logs

from ironwake.errors import InputError
from ironwake_runtime import interfaces
from ironwake_runtime.interfaces import Interface


def test_loopback_is_found_by_name() -> None:
    """An interface has an address, a prefix and the network that follows from them."""
    found = interfaces.find("lo")
    assert (found.name, found.address, found.prefix) == ("lo", "127.0.0.1", 8)
    assert found.network == ipaddress.IPv4Network("127.0.0.0/8")
    assert interfaces.mac_of("lo") == "00:00:00:00:00:00"


def test_loopback_is_no_candidate() -> None:
    """Nobody's machines are on loopback: it is not offered as a choice."""
    assert "lo" not in {item.name for item in interfaces.candidates()}


@pytest.mark.parametrize("name", ["", "nope0", "a-name-longer-than-the-kernel-takes", "ä\0"])
def test_a_wrong_name_lists_the_candidates(name: str) -> None:
    """There is no default: the error says which setting to set, and what there is to choose."""
    with pytest.raises(InputError) as caught:
        interfaces.find(name)
    assert caught.value.where == "IRONWAKE_INTERFACE"
    assert "there are: " in caught.value.next_step


LAN = Interface("lan0", 3, "192.0.2.10", 24)


@pytest.mark.parametrize("after", [replace(LAN, index=7), replace(LAN, address="192.0.2.11")])
def test_an_interface_is_waited_for_until_it_is_another_one(after: Interface) -> None:
    """While it is away, however long, that is said once; and once when it is back."""
    seen: Iterator[Interface | None] = iter((LAN, None, None, LAN, None, after))
    pauses: list[float] = []

    def look() -> Interface:
        there = next(seen)
        if there is None:
            raise InputError("there is no such interface")
        return there

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    log = structlog.get_logger()
    with capture_logs() as lines:
        there = asyncio.run(interfaces.changed("lo", LAN, look, log, pause))
    assert there == after
    assert len(pauses) == 6
    said = ["the interface is away", "the interface is back"]
    assert [line["event"] for line in lines] == 2 * said
