"""The variable store with a boot order in it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import BrokenError
from ironwake_lab.nvram import (
    boot_entries,
    boot_order,
    with_boot_next,
    with_boot_options,
    without_variables,
)

MAC = "52:54:00:77:00:10"
BLANK = bytes(0x30) + struct.pack("<H", 0x48) + bytes(0x16) + bytes(28) + b"\xff" * 4096

# What edk2 itself wrote for such a card in slot 1 (OVMF 2022.11), from the path to the mark.
EDK2_OPTION = bytes.fromhex(
    "02010c00d041030a00000000010106000001030b250052540077001000000000000000000000000000000000"
    "0000000000000000000001030c1b0000000000000000000000000000000000000000000000007fff04004eac"
    "0881119f594d850ee21a522c59b2"
)


def test_the_option_is_what_edk2_would_write() -> None:
    """edk2 takes the option for its own, so that it neither removes nor doubles it."""
    store = with_boot_options(BLANK, [MAC], 1)
    assert EDK2_OPTION in store
    assert "UEFI PXEv4 (MAC:525400770010)\0".encode("utf-16le") in store
    assert len(store) == len(BLANK)


def test_older_options_are_deleted_and_other_variables_stay() -> None:
    """The template's own boot options go (two of one name hang OVMF), its keys stay."""
    once = with_boot_options(BLANK, [MAC], 1)
    twice = with_boot_options(once, ["52:54:00:77:00:11"], 2)
    changed = [at for at in range(len(once.rstrip(b"\xff"))) if once[at] != twice[at]]
    assert [(once[at], twice[at]) for at in changed] == [(0x3F, 0x3C)] * 2  # only their states


def test_one_boot_from_the_network_leaves_the_order_alone() -> None:
    """As a BMC does it; told twice, the older word is deleted."""
    store = with_boot_options(BLANK, [MAC], 1)
    once = with_boot_next(store, MAC, 1)
    assert boot_order(once) == boot_order(store)
    assert once.startswith(store.rstrip(b"\xff"))
    assert once.count(EDK2_OPTION) == 2
    twice = with_boot_next(once, MAC, 1)
    changed = [at for at in range(len(once.rstrip(b"\xff"))) if once[at] != twice[at]]
    assert [(once[at], twice[at]) for at in changed] == [(0x3F, 0x3C)] * 2


def test_a_template_gives_up_its_keys() -> None:
    """Without them Secure Boot is off; the room behind them is free as before."""
    enrolled = with_boot_options(BLANK, [MAC], 1)
    blank = without_variables(enrolled)
    changed = [at for at in range(len(blank)) if enrolled[at] != blank[at]]
    assert [(enrolled[at], blank[at]) for at in changed] == [(0x3F, 0x3C)] * 2  # option and order
    assert EDK2_OPTION in with_boot_options(blank, [MAC], 1)[len(enrolled.rstrip(b"\xff")) :]


HTTP_OPTION = bytes.fromhex(
    "02010c00d041030a00000000010106000002030b250052540077001000000000000000000000000000000000"
    "0000000000000000000001030c1b000000000000000000000000000000000000000000000000031804007fff"
    "04004eac0881119f594d850ee21a522c59b2"
)
IPXE_OPTION = bytes.fromhex(
    "02010c00d041030a00000000010106000002030b250052540077001000000000000000000000000000000000"
    "00000000000000000000017fff04004eac0881119f594d850ee21a522c59b2"
)


@pytest.mark.parametrize(
    ("kind", "option"), [("http", HTTP_OPTION), ("ipxe", IPXE_OPTION)], ids=["http", "ipxe"]
)
def test_the_other_ways_to_boot_from_the_network(kind: str, option: bytes) -> None:
    """HTTP Boot has a URI behind the address, an iPXE option ROM neither: as edk2 wrote them."""
    assert option in with_boot_options(BLANK, [MAC], 2, kind)


def test_every_card_has_its_place_in_the_order() -> None:
    """Two cards, two options, and BootOrder names both, the first card first."""
    store = with_boot_options(BLANK, [MAC, "52:54:00:77:00:11"], 2)
    first, second = (f"UEFI PXEv4 (MAC:5254007700{n})".encode("utf-16le") for n in (10, 11))
    order = "BootOrder\0".encode("utf-16le") + bytes((1, 0, 2, 0))
    assert 0 < store.index(first) < store.index(second) < store.index(order)


def test_the_boot_order_is_read_as_the_firmware_would() -> None:
    """The one that stands: not one that was deleted, and none where there is none."""
    once = with_boot_options(BLANK, [MAC, "52:54:00:77:00:11"], 1)
    assert boot_order(once) == (1, 2)
    names = [f"UEFI PXEv4 (MAC:5254007700{n})" for n in (10, 11)]
    assert boot_entries(once) == dict(enumerate(names, 1))
    assert boot_order(with_boot_options(once, [MAC], 1)) == (1,)
    assert boot_order(BLANK) == ()


def test_without_cards_no_option_is_left() -> None:
    """The firmware then makes its own list, which begins with the disk."""
    assert with_boot_options(BLANK, [], 2) == BLANK


@given(st.binary(max_size=200))
def test_anything_else_is_refused(template: bytes) -> None:
    """A file that is no variable store, or has no room, gives one plain error."""
    with pytest.raises(BrokenError):
        with_boot_options(template, [MAC], 1)
