"""What a storm's machines say is what real firmware said, byte for byte."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import RefusedError
from ironwake_lab.storm import roms
from ironwake_lab.storm.cable import segment, to_frame, to_packet
from ironwake_lab.storm.download import Download, request
from ironwake_lab.storm.frames import VNET, Question, datagram, options, question, reply, udp
from ironwake_lab.storm.roms import Asking, Manners
from ironwake_lab.storm.router import Router
from ironwake_lab.storm.stage import check_neighbours
from ironwake_lab.storm.weather import Climate, Weather
from ironwake_testing.captures import CAPTURES, datagrams

_NETWORK = IPv4Network("10.77.0.0/16")


def _requests(capture: str, vendor: bytes, port: int = 67) -> list[bytes]:
    found = datagrams(CAPTURES / f"{capture}.pcap", {port})
    return [one.payload for one in found if one.payload[0] == 1 and vendor in one.payload]


@pytest.mark.parametrize(
    ("capture", "vendor", "asking"),
    [
        ("ovmfsb-pxe-shim", b"PXEClient:Arch:00007", roms.PXE),
        ("ovmf-httpboot-ipxe", b"HTTPClient:Arch:00016", roms.HTTP),
        ("bios-ipxe-virtio", b"PXEClient:Arch:00000", roms.IPXE),
        ("bios-plainpxe-undionly", b"PXEClient:Arch:00000", roms.PLAIN),
    ],
)
def test_dhcp_is_the_captured_firmwares(capture: str, vendor: bytes, asking: Asking) -> None:
    """DISCOVER and REQUEST have its options, in its order, with its values and its flag."""
    checked = set()
    for said in _requests(capture, vendor):
        found = options(said[240:])
        ipxe, wants_ipxe = 77 in found, "69505845" in asking.body
        if ipxe is not wants_ipxe:
            continue
        mac, uuid = said[28:34], found[97][1:]
        xid, secs = int.from_bytes(said[4:8], "big"), int.from_bytes(said[8:10], "big")
        if found[53] == b"\x01":
            made = asking.discover(uuid, mac)
        else:
            made = asking.request(uuid, mac, found[54], found[50])
        assert question(Question(mac, xid, secs, asking.flags, made)) == said
        checked.add(found[53])
    assert checked == {b"\x01", b"\x03"}


def test_port_4011_is_asked_as_edk2_does() -> None:
    """Another order of the same options, and the address that it has."""
    said = _requests("proxy-ovmf-shim", b"PXEClient", 4011)[0]
    found = options(said[240:])
    filled = roms.EDK2_BOOT_SERVER.replace("U", found[97][1:].hex())
    xid = int.from_bytes(said[4:8], "big")
    made = question(
        Question(said[28:34], xid, 0, 0, b"\x35\x01\x03" + bytes.fromhex(filled), said[12:16])
    )
    assert made == said


@pytest.mark.parametrize(
    ("capture", "name", "manners"),
    [
        ("ovmfsb-pxe-shim", "sb/shimx64.efi", roms.PROBE),
        ("ovmfsb-pxe-shim", "sb/shimx64.efi", roms.EDK2),
        ("ovmfsb-pxe-shim", "grubx64.efi", roms.SHIM),
        ("ovmfsb-pxe-shim", "/linux", roms.GRUB),
        ("bios-plainpxe-undionly", "undionly.kpxe", roms.ROM),
    ],
)
def test_tftp_requests_are_the_captured_loaders(capture: str, name: str, manners: Manners) -> None:
    """The options of each loader's request, in its order."""
    path: Path = CAPTURES / f"{capture}.pcap"
    assert request(name, manners) in [one.payload for one in datagrams(path, {69})]


@given(st.binary(max_size=700))
def test_answers_of_whatever_kind_are_read_or_left(data: bytes) -> None:
    """Neither a machine nor the router stumbles over what is no DHCP message."""
    router = Router.of("10.77.0.1", _NETWORK, "10.77.16.1", 4)
    for payload in (data, b"\x02" + data, b"\x01" + bytes(235) + b"\x63\x82\x53\x63" + data):
        reply(payload)
        router.answer(payload)
        options(payload)


@given(st.lists(st.tuples(st.binary(max_size=60), st.integers(1, 3)), max_size=60))
def test_a_download_takes_whatever_comes(heard: list[tuple[bytes, int]]) -> None:
    """Malformed answers, foreign ports: no exception, and silence ends it at last."""
    download = Download("x", roms.EDK2, 1024)
    download.begin()
    for payload, port in heard:
        download.receive(payload, port)
    for _ in range(len(roms.EDK2.pauses)):
        download.late()
    assert download.over


@given(st.binary(max_size=64))
def test_frames_come_back_as_they_went(payload: bytes) -> None:
    """A datagram survives the way into a frame and out of it, and off and on the tun."""
    macs, source, target = bytes(range(12)), b"\x0a\x4d\x10\x01", b"\x0a\x4d\x00\x02"
    frame = udp(macs, source, target, 1024, 69, payload)
    found = datagram(memoryview(frame))
    assert found is not None
    assert (found.source, found.target, found.sport, found.dport) == (source, target, 1024, 69)
    assert found.payload == payload
    packet = to_packet(memoryview(frame))
    assert to_frame(memoryview(packet), frame[VNET : VNET + 14]) == frame
    assert segment(memoryview(frame)) == 0


@given(st.binary(max_size=80))
def test_frames_that_are_cut_off_are_left(data: bytes) -> None:
    """Whatever a frame claims, only what is in it is read."""
    datagram(memoryview(bytes(VNET + 14) + data))
    datagram(memoryview(bytes(VNET + 14) + b"\x45" + data))


def test_a_router_gives_each_card_one_address() -> None:
    """The same one again and again, another one to another card, none once all are given."""
    router = Router.of("10.77.0.1", _NETWORK, "10.77.16.1", 2)

    def ask(last: int) -> bytes | None:
        mac = bytes(5) + bytes((last,))
        discover = roms.PXE.discover(bytes(16), mac)
        said = router.answer(question(Question(mac, 7, 0, 0x8000, discover)))
        heard = reply(said.payload) if said else None
        return heard.address if heard else None

    assert [ask(1), ask(2), ask(1), ask(3)] == [
        b"\x0a\x4d\x10\x01",
        b"\x0a\x4d\x10\x02",
        b"\x0a\x4d\x10\x01",
        None,
    ]


def test_an_arp_table_that_is_too_small_is_told() -> None:
    """More machines than the kernel has room for are refused, with the setting that makes room;
    where the kernel does not tell, nobody is refused."""
    check_neighbours(4000, None)
    check_neighbours(900, 1024)
    with pytest.raises(RefusedError, match="gc_thresh3=8000"):
        check_neighbours(1000, 1024)


def test_weather_is_its_seeds() -> None:
    """One seed is one run, and the shares are about those that were asked for."""
    climate = Climate(0.1, 0.1, 0.1)
    first, second = Weather(climate, 7), Weather(climate, 7)
    assert [first.fate() for _ in range(2000)] == [second.fate() for _ in range(2000)]
    assert 100 < first.lost < 320
    assert 100 < first.duplicated < 320
    assert 100 < first.reordered < 320
