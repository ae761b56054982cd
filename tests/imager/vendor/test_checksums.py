"""Lists of checksums as vendors write them."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import InputError
from ironwake_imager.vendor.checksums import Checksum, parse, pick

A, B = hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"b").hexdigest()
LONG = hashlib.sha512(b"a").hexdigest()


def test_every_form() -> None:
    """GNU's two, BSD's, one alone, and within a signed text among comments and other sums."""
    text = f"""-----BEGIN PGP SIGNED MESSAGE-----
# Fedora-Server-dvd-x86_64-43-1.6.iso: 2147483648 bytes
SHA256 (a.iso) = {A}
{B}  ./b.iso
{B} *c d.iso
d41d8cd98f00b204e9800998ecf8427e  md5.iso
{LONG}  b.iso
-----BEGIN PGP SIGNATURE-----
iQIzBAEBCAAdFiEE
"""
    found = {name: one.digest for name, one in parse(text).items()}
    assert found == {"a.iso": A, "b.iso": LONG, "c d.iso": B}
    assert parse(f"{A}\n")[""].digest == A
    assert parse(f"{A.upper()}  a\n")["a"].algorithm == "sha256"


def test_one_name_with_two_checksums() -> None:
    """Nobody can say which is meant."""
    with pytest.raises(InputError, match="twice"):
        parse(f"{A}  a\n{B}  a\n")
    assert parse(f"{A}  a\n{A}  a\n")["a"].digest == A


def test_the_newest_of_those_that_fit() -> None:
    """By the numbers in their names, as numbers."""
    names = ("ubuntu-24.04.9-live.iso", "ubuntu-24.04.10-live.iso", "ubuntu-24.04-live.iso")
    entries = dict.fromkeys((*names, "ubuntu-24.04.11-desktop.iso"), Checksum(A))
    assert pick(entries, "ubuntu-24.04*-live.iso", alone=False)[0] == names[1]
    with pytest.raises(InputError, match=r"has no debian\*"):
        pick(entries, "debian*", alone=True)


def test_a_list_about_one_file_may_call_it_otherwise() -> None:
    """As Tumbleweed's does, whose file is another one each day."""
    entries = parse(f"{A}  openSUSE-Tumbleweed-DVD-x86_64-Snapshot20251101-Media.iso\n")
    name = "openSUSE-Tumbleweed-DVD-x86_64-Current.iso"
    assert pick(entries, name, alone=True) == (name, Checksum(A))
    with pytest.raises(InputError):
        pick(entries, name, alone=False)


@pytest.mark.parametrize("text", ["", "0" * 63, "g" * 64, "0" * 65, "0" * 40])
def test_what_is_no_checksum(text: str) -> None:
    """SHA-1 and MD5 are none any more."""
    with pytest.raises(InputError, match="is no checksum"):
        Checksum(text)


@given(st.text(max_size=300))
def test_any_text_is_a_list(text: str) -> None:
    """Of nothing, mostly; nothing but InputError is raised."""
    try:
        parse(text)
    except InputError as error:
        assert "twice" in error.what  # noqa: PT017
