"""Interfaces of this host: what can be known without root is loopback, and what is not there."""

from __future__ import annotations

import ipaddress

import pytest
from ironwake.errors import InputError
from ironwake_runtime import interfaces


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
