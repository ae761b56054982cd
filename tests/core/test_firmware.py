"""Options 93, 60, 77 and 175 to a firmware."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.firmware import identify


@pytest.mark.parametrize(
    ("option_93", "option_60", "option_77", "option_175", "name"),
    [
        (0, b"PXEClient:Arch:00000:UNDI:002001", b"", None, "bios-pxe"),
        (0, b"PXEClient:Arch:00000:UNDI:002001", b"iPXE", b"\x13\x01\x01\x18\x01\x01", "bios-ipxe"),
        (0, b"PXEClient:Arch:00000:UNDI:002001", b"iPXE", b"\x15\x01\x01", "bios-ipxe-limited"),
        (7, b"PXEClient:Arch:00007:UNDI:003000", b"", None, "uefi-amd64-pxe"),
        (9, b"PXEClient:Arch:00009:UNDI:003000", b"", None, "uefi-amd64-pxe"),
        (7, b"PXEClient:Arch:00007:UNDI:003010", b"iPXE", b"", "uefi-amd64-ipxe"),
        (11, b"PXEClient:Arch:00011:UNDI:003000", b"", None, "uefi-arm64-pxe"),
        (16, b"HTTPClient:Arch:00016:UNDI:003000", b"", None, "uefi-amd64-http"),
        (None, b"PXEClient:Arch:00007:UNDI:003000", b"", None, "uefi-amd64-pxe"),
        (None, b"PXEClient", b"", None, "bios-pxe"),
    ],
)
def test_what_real_firmware_sends_is_recognised(
    option_93: int | None, option_60: bytes, option_77: bytes, option_175: bytes | None, name: str
) -> None:
    """The rows are what the captures show."""
    row = identify(option_93, option_60, option_77, option_175)
    assert row is not None
    assert row.name == name


@pytest.mark.parametrize("option_60", [b"", b"d-i", b"MSFT 5.0", b"xPXEClient", b"udhcp 1.35.0"])
def test_a_client_that_is_not_booting_from_the_network_has_no_firmware(option_60: bytes) -> None:
    """An operating system's DHCP client must never be taken for firmware."""
    assert identify(None, option_60) is None


@given(
    st.one_of(st.none(), st.integers(0, 65535)),
    st.binary(max_size=64),
    st.binary(max_size=16),
    st.one_of(st.none(), st.binary(max_size=16)),
)
def test_identify_is_total(
    option_93: int | None, option_60: bytes, option_77: bytes, option_175: bytes | None
) -> None:
    """No option value raises; what is not booting is None."""
    row = identify(option_93, option_60, option_77, option_175)
    assert row is None or option_60.startswith((b"PXEClient", b"HTTPClient"))
