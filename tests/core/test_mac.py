"""One spelling of a MAC address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import InputError
from ironwake.mac import Mac

UNICAST = st.binary(min_size=6, max_size=6).filter(lambda raw: any(raw) and not raw[0] & 1)


@given(UNICAST, st.sampled_from([":", "-"]), st.booleans())
def test_every_notation_of_an_address_is_the_same_mac(raw: bytes, mark: str, upper: bool) -> None:
    """Whatever notation comes in, one goes out."""
    plain = raw.hex()
    dotted = ".".join(plain[i : i + 4] for i in (0, 4, 8))
    for text in (raw.hex(mark), plain, dotted):
        mac = Mac(text.upper() if upper else text)
        assert mac == raw.hex(":")
        assert mac.packed == raw
        assert Mac.from_bytes(raw) == mac


@given(st.text())
def test_other_text_is_refused(text: str) -> None:
    """A text either is a MAC address or raises InputError: nothing else may come out."""
    try:
        mac = Mac(text)
    except InputError:
        return
    assert len(mac.packed) == 6


@pytest.mark.parametrize("text", ["01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"])
def test_an_address_that_no_card_has_is_refused(text: str) -> None:
    """Group addresses and zero cannot be a machine's own."""
    with pytest.raises(InputError):
        Mac(text)


def test_bootif_is_as_kernels_and_pxelinux_write_it() -> None:
    """The hardware type stands first, and hyphens between."""
    assert Mac("52:54:00:77:00:10").bootif == "01-52-54-00-77-00-10"
