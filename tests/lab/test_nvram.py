"""The variable store that puts PXE first."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import BrokenError
from ironwake_lab.nvram import with_pxe_first

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
    store = with_pxe_first(BLANK, MAC, pci_slot=1)
    assert EDK2_OPTION in store
    assert "UEFI PXEv4 (MAC:525400770010)\0".encode("utf-16le") in store
    assert len(store) == len(BLANK)


def test_older_options_are_deleted_and_other_variables_stay() -> None:
    """The template's own boot options go (two of one name hang OVMF), its keys stay."""
    once = with_pxe_first(BLANK, MAC, pci_slot=1)
    twice = with_pxe_first(once, "52:54:00:77:00:11", pci_slot=2)
    changed = [at for at in range(len(once.rstrip(b"\xff"))) if once[at] != twice[at]]
    assert [(once[at], twice[at]) for at in changed] == [(0x3F, 0x3C)] * 2  # only their states


@given(st.binary(max_size=200))
def test_anything_else_is_refused(template: bytes) -> None:
    """A file that is no variable store, or has no room, gives one plain error."""
    with pytest.raises(BrokenError):
        with_pxe_first(template, MAC, pci_slot=1)
