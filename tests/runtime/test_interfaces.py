"""Interfaces of this host: what can be known without root is loopback, and what is not there."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ironwake.errors import BrokenError, InputError
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
def test_an_interface_that_comes_back_as_another_one_ends_the_watch(after: Interface) -> None:
    """Sockets would stay deaf on the old one for ever; while it is away, it is waited for."""
    seen: Iterator[Interface | None] = iter((LAN, None, None, LAN, None, after))
    pauses: list[float] = []

    def look(name: str) -> Interface:
        assert name == LAN.name
        there = next(seen)
        if there is None:
            raise InputError("there is no such interface")
        return there

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    with pytest.raises(BrokenError, match="lan0 has changed"):
        asyncio.run(interfaces.watch(LAN, look, pause))
    assert len(pauses) == 6
