"""Other servers: their answers read from frames, whatever is in them, and a real one found."""

from __future__ import annotations

import asyncio
import struct
import subprocess
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.site import ForeignServer
from ironwake_dhcp.ask_foreign import ask
from ironwake_dhcp.foreign import read
from ironwake_lab import network
from tests.dhcp.cable import bench, inside, ip

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
    assert heard == ForeignServer("10.77.0.1")
    assert not heard.boots


def test_a_boot_file_is_seen_in_both_places() -> None:
    """Option 67 and the BOOTP field both make firmware load something else than ours."""
    for answer, field in (
        (frame(b"\x43\x0apxelinux.0"), False),
        (frame(file=b"pxelinux.0"), True),
    ):
        heard = read(answer, _XID)
        assert heard == ForeignServer(
            "10.77.0.9", boot_file="pxelinux.0", gives_address=False, in_field=field
        )
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


def test_where_the_file_is_comes_from_siaddr_or_option_66() -> None:
    """The next server is the header's address, else the option's name."""
    by_option = read(frame(b"\x42\x06server\x43\x01x"), _XID)
    assert by_option is not None
    assert by_option.next_server == "server"
    plain = frame(file=b"x")
    by_field = read(plain[: 42 + 20] + IPv4Address("10.77.0.7").packed + plain[42 + 24 :], _XID)
    assert by_field is not None
    assert by_field.next_server == "10.77.0.7"


def test_an_overloaded_field_is_no_file_name() -> None:
    """Option 52 says that the field holds options (RFC 2132 section 9.3): it is read as such."""
    field = b"\x43\x05a.efi\xff"
    assert read(frame(b"\x34\x01\x01", file=field), _XID) == ForeignServer(
        "10.77.0.9", boot_file="a.efi", gives_address=False
    )


def test_what_a_server_says_is_safe_to_show() -> None:
    """Its boot file stands in warnings: on a terminal, too."""
    heard = read(frame(file=b"\x1b[2Jx\n"), _XID)
    assert heard is not None
    assert heard.boot_file == "\\x1b[2Jx\\x0a"


@pytest.mark.root
def test_a_real_server_is_found_with_its_boot_file(tmp_path: Path) -> None:
    """dnsmasq, which boots PXE clients only, shows its address, next server and file."""
    with bench() as place:
        place.plug("lan0", "10.77.0.2", "02:77:00:00:00:02")
        ip("address", "add", "10.77.0.1/24", "dev", "m-lan0", inside=place.theirs)
        words = (
            "dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --no-ping",
            "--interface=m-lan0 --bind-interfaces --dhcp-range=10.77.0.100,10.77.0.110",
            f"--dhcp-leasefile={tmp_path}/leases --pid-file= --log-facility=- --user=root",
            "--dhcp-match=set:efi,option:client-arch,7",
            "--dhcp-boot=tag:efi,router.efi,router,10.77.0.9",
        )
        other = subprocess.Popen(
            (*network.enter(place.theirs), *" ".join(words).split()),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert other.stderr
            next(line for line in other.stderr if "sockets bound" in line)
            answer = inside(
                place.ours, lambda: asyncio.run(ask("lan0", enough=lambda one: one.boots))
            )
            nobody = inside(place.ours, lambda: asyncio.run(ask("lo", 0.1)))
        finally:
            other.kill()
            other.communicate()
    assert answer == (ForeignServer("10.77.0.1", "10.77.0.9", "router.efi"),)
    assert nobody == ()
