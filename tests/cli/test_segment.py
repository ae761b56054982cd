"""Who else answers a network boot: answers read from frames, whatever is in them."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from ironwake_cli import checks, segment
from ironwake_cli.checks import Grade
from ironwake_cli.segment import Heard, read

_XID = 0x1234ABCD


def frame(
    options: bytes = b"", *, yiaddr: str = "0.0.0.0", file: bytes = b"", xid: int = _XID
) -> bytes:
    """An answer of 10.77.0.9 to the DISCOVER, in Ethernet and IPv4."""
    head = struct.pack("!BBBBIHH", 2, 1, 6, 0, xid, 0, 0x8000)
    addresses = bytes(4) + IPv4Address(yiaddr).packed + bytes(8)
    bootp = head + addresses + bytes(16) + bytes(64) + file.ljust(128, b"\0")
    payload = bootp + b"\x63\x82\x53\x63" + options + b"\xff"
    udp = struct.pack("!HHHH", 67, 68, len(payload) + 8, 0) + payload
    source = IPv4Address("10.77.0.9").packed
    ip = struct.pack("!BBHHHBBH", 0x45, 0, len(udp) + 20, 0, 0, 64, 17, 0) + source + b"\xff" * 4
    return b"\xff" * 6 + b"\x02" * 6 + b"\x08\x00" + ip + udp


def test_a_plain_dhcp_server_boots_nobody() -> None:
    """An address without a boot file is what every network has."""
    heard = read(frame(b"\x36\x04\x0a\x4d\x00\x01", yiaddr="10.77.0.100"), _XID)
    assert heard == Heard("10.77.0.1", gives_address=True, boot_file="", pxe=False)
    assert not heard.boots


def test_a_boot_file_is_seen_in_both_places() -> None:
    """Option 67 and the BOOTP field both make firmware load something else than ours."""
    for answer in (frame(b"\x43\x0apxelinux.0"), frame(file=b"pxelinux.0")):
        heard = read(answer, _XID)
        assert heard == Heard("10.77.0.9", gives_address=False, boot_file="pxelinux.0", pxe=False)
        assert heard.boots


def test_a_proxy_is_known_by_its_vendor_class() -> None:
    """A proxy that names its file on port 4011 only is a boot server all the same."""
    heard = read(frame(b"\x3c\x09PXEClient"), _XID)
    assert heard is not None
    assert heard.boots


def test_answers_to_others_do_not_count() -> None:
    """Another client's exchange at the same time is not ours to judge."""
    assert read(frame(xid=1), _XID) is None


@given(st.binary(max_size=700), st.integers(0, 400))
def test_no_frame_breaks_it(noise: bytes, at: int) -> None:
    """Anything at all may come from a network: it is an answer or it is not."""
    read(noise, _XID)
    whole = frame(noise[:300])
    read(whole[:at], _XID)
    read(whole[:at] + noise + whole[at:], _XID)


def test_another_boot_server_is_a_fault() -> None:
    """It is named with its file, and the fix says what to switch off there."""
    heard = [Heard("10.77.0.9", True, "pxelinux.0", False)]
    found = checks.segment(heard, "proxy", "eth0")
    assert found.grade is Grade.FAULT
    assert "10.77.0.9 (pxelinux.0)" in found.says
    assert "66 and 67" in found.fix


def test_the_mode_must_fit_the_network() -> None:
    """Proxy mode needs a DHCP server, server mode must be the only one."""
    router = Heard("10.77.0.1", True, "", False)
    assert checks.segment([router], "proxy", "eth0").grade is Grade.OK
    assert checks.segment([], "proxy", "eth0").grade is Grade.FAULT
    assert checks.segment([], "server", "eth0").grade is Grade.OK
    assert checks.segment([router], "server", "eth0").grade is Grade.FAULT
    assert checks.segment([], "off", "eth0").grade is Grade.OK


def test_asking_needs_a_right() -> None:
    """The question itself is built by the same code that reads requests: edk2's kind."""
    from ironwake.firmware import BY_NAME
    from ironwake.mac import Mac
    from ironwake_dhcp.packet import MessageType, parse
    from ironwake_dhcp.rehearse import discover

    request = parse(discover(Mac("02:00:00:00:00:01"), BY_NAME["uefi-amd64-pxe"], _XID))
    assert request.message_type is MessageType.DISCOVER
    assert request.xid == _XID
    assert segment.read(b"", _XID) is None
