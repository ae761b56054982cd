"""Datagrams: what firmware sends is read right, what nobody should send is refused cleanly."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tftpy.TftpPacketFactory import TftpPacketFactory

from ironwake_tftp.packet import (
    Ack,
    Error,
    ErrorCode,
    MalformedPacketError,
    Mode,
    ReadRequest,
    WriteRequest,
    data_packet,
    error_packet,
    netascii,
    oack_packet,
    parse,
)
from tests.tftp.recorded import requests

# Each of these ends tftpy's server, or did harm to another one.
MALFORMED = [
    b"",
    b"\0",
    b"\0\1",
    b"\0\1\0",
    b"\0\1\0\0",
    b"\0\1boot",
    b"\0\1boot\0octet",
    b"\0\1boot\0",
    b"\0\1\0octet\0",
    b"\0\1boot\0\0",
    b"\0\1boot\0mail\0",
    b"\0\1boot\0octet\xff\0",
    b"\0\1b\xc3\xb6\xc3\xb6t\0octet\0",
    b"\0\1bo\not\0octet\0",
    b"\0\1" + b"a" * 520 + b"\0octet\0",
    b"\0\3\0\1data",
    b"\0\6blksize\x008\0",
    b"\0\7\0\0",
    b"\xff\xff\xff\xff",
    b"\1\0boot\0octet\0",
]


@pytest.mark.parametrize("data", MALFORMED)
def test_malformed_datagrams_are_named(data: bytes) -> None:
    """Each is refused with a reason in words, and with nothing but MalformedPacketError."""
    with pytest.raises(MalformedPacketError) as caught:
        parse(data)
    assert caught.value.reason


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (b"blksize\0abc\0", {}),
        (b"blksize\x007\0", {}),
        (b"blksize\x0065465\0", {}),
        (b"blksize\0-8\0", {}),
        (b"blksize\0\0", {}),
        (b"blksize\x001468", {"blksize": 1468}),
        (b"blksize\0" + b"9" * 300 + b"\0", {}),
        (b"blksize\0\xd9\xa1\xd9\xa2\0", {}),
        (b"windowsize\x000\0", {}),
        (b"timeout\x00256\0", {}),
        (b"BLKSIZE\x001024\0TSize\x000\0", {"blksize": 1024, "tsize": True}),
        (b"blksize\x00512\0blksize\x001024\0", {"blksize": 512}),
        (b"multicast\0\0unknown\0x\0windowsize\x004\0", {"windowsize": 4}),
        (b"blksize\0", {}),
        (b"blksize\x001432\0\0\0\0\0", {"blksize": 1432}),
    ],
)
def test_senseless_options_count_as_not_sent(options: bytes, wanted: dict[str, int]) -> None:
    """RFC 2347: an option that can't be taken is left out, and the request is served."""
    data = b"\0\1boot\0octet\0" + options
    if not data.endswith(b"\0"):
        data += b"\0"
    assert parse(data) == ReadRequest("boot", Mode.OCTET, **wanted)  # type: ignore[arg-type]


@given(st.binary(max_size=600))
def test_any_bytes_are_a_packet_or_malformed(data: bytes) -> None:
    """No input raises anything but MalformedPacketError."""
    with contextlib.suppress(MalformedPacketError):
        parse(data)


@given(st.sampled_from([1, 2, 4, 5]), st.binary(max_size=80))
def test_any_bytes_behind_a_true_opcode(opcode: int, rest: bytes) -> None:
    """The same, where the first octets lead into each branch."""
    with contextlib.suppress(MalformedPacketError):
        parse(opcode.to_bytes(2, "big") + rest)


def test_every_recorded_request_is_understood() -> None:
    """Firmware of seven kinds: names, options and sizes as the captures show them."""
    found = {(r.name, r.blksize, r.windowsize, r.tsize) for _, r in requests()}
    assert ("sb/shimx64.efi", 1468, 4, True) in found  # edk2's size probe
    assert ("sb/shimx64.efi", 1468, 4, False) in found
    assert ("grubx64.efi", 512, 4, False) in found  # shim
    assert ("undionly.kpxe", 1432, None, True) in found  # a plain ROM
    assert ("/linux", 1024, None, True) in found  # GRUB
    assert all(request.mode is Mode.OCTET for _, request in requests())


def test_the_rest_of_what_clients_send() -> None:
    """ACK, ERROR with and without its NUL, WRQ."""
    assert parse(b"\0\4\xff\xff") == Ack(65535)
    assert parse(b"\0\5\0\x08User aborted the transfer\0").code == 8  # type: ignore[union-attr]
    assert parse(b"\0\5\0\0no NUL") == Error(0, "no NUL")
    assert parse(b"\0\2boot\0octet\0") == WriteRequest("boot")


def test_tftpy_reads_what_we_write() -> None:
    """An independent codec agrees on DATA, OACK and ERROR."""
    read = TftpPacketFactory().parse
    data = read(data_packet(65537, b"abc"))
    assert (data.blocknumber, data.data) == (1, b"abc")
    assert read(oack_packet({"blksize": 1468, "tsize": 9})).options == {
        "blksize": "1468",
        "tsize": "9",
    }
    error = read(error_packet(ErrorCode.FILE_NOT_FOUND, "file not found"))
    assert error.errorcode == 1


def test_an_error_stays_small() -> None:
    """However long the reason, the datagram has at most 105 octets, and one NUL."""
    data = error_packet(ErrorCode.UNDEFINED, "x\0ü" * 100)
    assert len(data) == 105
    assert data[4:].count(b"\0") == 1


def test_netascii_shows_lines() -> None:
    """LF goes out as CR LF, and a bare CR as CR NUL (RFC 764)."""
    assert netascii(b"a\nb\rc\r\n") == b"a\r\nb\r\0c\r\0\r\n"
