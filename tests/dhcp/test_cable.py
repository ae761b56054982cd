"""The real service on a cable between two namespaces: what is, and what is not, on the wire."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.view import Index
from ironwake_dhcp.packet import MessageType
from ironwake_dhcp.rehearse import discover, rehearse
from ironwake_testing.captures import CAPTURES, Datagram, frames, requests
from tests.dhcp import rack
from tests.dhcp.cable import Bench, Service, bench, serving
from tests.dhcp.test_exchange import HERE, ROUTER, ask

pytestmark = pytest.mark.root

OURS = "02:77:00:00:00:01"
EDK2 = Mac("52:54:00:77:03:12")  # the machine in ovmfsb-pxe-shim
LAST = Mac("52:54:00:77:77:77")  # armed everywhere: its OFFER says that all before it were heard


@pytest.fixture
def place() -> Iterator[Bench]:
    with bench() as made:
        made.plug("lan0", rack.ADDRESS, OURS)
        yield made


def packet(payload: bytes, source: str = "0.0.0.0", port: int = 68, to: int = 67) -> bytes:
    """A broadcast frame with a DHCP payload, from the card that its `chaddr` names."""
    mac = payload[28:34].hex(":")
    link = Ether(src=mac, dst="ff:ff:ff:ff:ff:ff")
    return bytes(link / IP(src=source, dst="255.255.255.255") / UDP(sport=port, dport=to) / payload)


def heard(tap: socket.socket) -> Ether:
    """The next frame that the service's card sends, but for ARP and IPv6's own noise."""
    while True:
        frame = Ether(tap.recv(4096))
        if frame.src == OURS and frame.type == 0x0800:
            return frame


def heard_until_last(tap: socket.socket, to: Mac = LAST) -> list[Ether]:
    """Everything that the service sends before and with its answer to `LAST`."""
    tap.send(packet(discover(to, rack.BIOS)))
    found = []
    while True:
        found.append(heard(tap))
        if found[-1].dst == to:
            return found


def site(*entries: object) -> Index:
    return rack.index(rack.entry(LAST), *entries)  # type: ignore[arg-type]


def test_recorded_firmware_gets_its_offer(place: Bench, tmp_path: Path) -> None:
    """A recorded DISCOVER, frame and all, is answered by a frame that scapy reads as expected."""
    discovered = next(iter(frames(CAPTURES / "ovmfsb-pxe-shim.pcap")))
    index = site(rack.entry(EDK2))
    with serving(place, tmp_path, "lan0", index), place.tap("lan0") as tap:
        tap.send(discovered)
        frame = heard(tap)
    assert (frame.src, frame.dst) == (OURS, "ff:ff:ff:ff:ff:ff")  # edk2 set the broadcast flag
    assert (frame[IP].src, frame[IP].dst) == (rack.ADDRESS, "255.255.255.255")
    assert (frame[UDP].sport, frame[UDP].dport) == (67, 68)
    again = Ether(bytes(frame))
    del again[IP].chksum, again[UDP].chksum
    assert bytes(again) == bytes(frame)  # scapy's checksums are the same
    options = {item[0]: item[1] for item in frame[DHCP].options if isinstance(item, tuple)}
    uuid = options.pop("pxe_client_machine_identifier")
    assert options == {
        "message-type": MessageType.OFFER,
        "server_id": rack.ADDRESS,
        "vendor_class_id": b"PXEClient",
        "vendor_specific": bytes.fromhex("060108ff"),
        "boot-file-name": b"sb/shimx64.efi",
    }
    assert uuid in discovered
    asked = Ether(discovered)[BOOTP]
    assert (frame[BOOTP].xid, frame[BOOTP].chaddr) == (asked.xid, asked.chaddr)
    assert frame[BOOTP].file.rstrip(b"\0") == b"sb/shimx64.efi"
    assert frame[BOOTP].siaddr == rack.ADDRESS
    # and the dry run had said so, byte for byte
    assert bytes(frame[UDP].payload) == rehearse(index, bytes(Ether(discovered)[UDP].payload))


def test_nobody_else_gets_a_packet(place: Bench, tmp_path: Path) -> None:
    """Unknown, unarmed, locked, finished, other clients, other servers' clients: 0 frames."""
    known = (
        rack.entry("52:54:00:77:00:01", None),
        rack.entry("52:54:00:77:00:02", locked=True),
        rack.entry("52:54:00:77:00:03", State.SUCCEEDED),
        rack.entry("52:54:00:77:00:04", State.INSTALLING),
        rack.entry("52:54:00:77:00:05"),
        rack.entry(rack.NODE),
    )
    silent = [discover(Mac(f"52:54:00:77:00:0{n}"), rack.EDK2) for n in (1, 2, 3, 4, 9)]
    armed = discover(Mac("52:54:00:77:00:05"), rack.EDK2)
    silent += [
        armed.replace(b"PXEClient", b"d-i------"),
        armed[:-20],
        armed[:236] + bytes(4) + armed[240:],
        ask(MessageType.REQUEST, (50, HERE.packed), (54, ROUTER.packed)),
        ask(MessageType.INFORM),
        ask(MessageType.RELEASE),
    ]
    recorded: list[Datagram] = [item for item in requests() if item.target_port == 67]
    with serving(place, tmp_path, "lan0", site(*known)), place.tap("lan0") as tap:
        for payload in silent:
            tap.send(packet(payload))
        assert len(heard_until_last(tap)) == 1
        for item in recorded:
            # the recorded machines are strangers here, but for one
            if item.payload[28:34] != rack.NODE.packed:
                tap.send(packet(item.payload))
        assert len(heard_until_last(tap)) == 1


def test_another_interface_is_another_network(place: Bench, tmp_path: Path) -> None:
    """The same DISCOVER on a cable that was not allowed gets nothing, on no cable."""
    place.plug("lan1", "10.78.0.1", OURS)
    with (
        serving(place, tmp_path, "lan0", site(rack.entry())),
        place.tap("lan0") as allowed,
        place.tap("lan1") as other,
    ):
        for _ in range(3):
            other.send(packet(discover(rack.NODE, rack.BIOS)))
        assert [frame.dst for frame in heard_until_last(allowed)] == [LAST]
        other.setblocking(False)
        assert all(Ether(frame).src != OURS or Ether(frame).type != 0x0800 for frame in left(other))


def left(tap: socket.socket) -> Iterator[bytes]:
    """The frames that have come in already."""
    while True:
        try:
            yield tap.recv(4096)
        except BlockingIOError:
            return


def test_the_second_leg_is_answered_where_it_came_from(place: Bench, tmp_path: Path) -> None:
    """edk2's REQUEST on port 4011, recorded: ACK from 4011 to 4011, after ARP, by unicast."""
    (leg,) = (item for item in requests() if item.target_port == 4011)
    mac = Mac.from_bytes(leg.payload[28:34])
    with serving(place, tmp_path, "lan0", site(rack.entry(mac))), place.tap("lan0") as tap:
        tap.send(packet(leg.payload, leg.source, leg.source_port, 4011))
        while True:
            frame = Ether(tap.recv(4096))
            if ARP in frame and frame[ARP].op == 1 and frame[ARP].pdst == leg.source:
                break
        said = ARP(op=2, hwsrc=mac, psrc=leg.source, hwdst=OURS, pdst=rack.ADDRESS)
        tap.send(bytes(Ether(src=mac, dst=OURS) / said))
        answer = heard(tap)
    assert answer.dst == mac
    assert (answer[IP].dst, answer[UDP].sport, answer[UDP].dport) == (leg.source, 4011, 4011)
    reply = BOOTP(bytes(answer[UDP].payload))
    options = {item[0]: item[1] for item in reply[DHCP].options if isinstance(item, tuple)}
    assert options["message-type"] == MessageType.ACK
    assert reply.file.rstrip(b"\0") == options["boot-file-name"] == b"sb/shimx64.efi"
    assert "vendor_specific" not in options


def test_an_interface_that_comes_back_is_served_again(place: Bench, tmp_path: Path) -> None:
    """Unplugged and plugged in again, under another kernel index: no restart is needed."""
    with serving(place, tmp_path, "lan0", site()) as service:
        place.unplug("lan0")
        place.plug("lan0", rack.ADDRESS, OURS)
        service.wait_for("the interface has changed")
        service.wait_for("listening")
        with place.tap("lan0") as tap:
            assert len(heard_until_last(tap)) == 1


def test_server_mode_leases_and_remembers(place: Bench, tmp_path: Path) -> None:
    """A plain client gets address and terms; the next process still knows whose it is."""
    phone = discover(rack.NODE, rack.BIOS).replace(b"PXEClient", b"android-d")
    pool = {"dhcp_mode": "server", "dhcp_pool": "10.77.0.100-10.77.0.101"}
    wanted = phone[:240] + b"\x35\x01\x03\x32\x04\x0a\x4d\0\x65\x36\x04\x0a\x4d\0\x01\xff"
    with serving(place, tmp_path, "lan0", rack.index(), **pool), place.tap("lan0") as tap:
        tap.send(packet(phone))
        offer = heard(tap)
        assert (offer.dst, offer[IP].dst) == (rack.NODE, "10.77.0.100")
        tap.send(packet(wanted))
        ack = heard(tap)
        options = {item[0]: item[1] for item in ack[DHCP].options if isinstance(item, tuple)}
        assert ack[BOOTP].yiaddr == "10.77.0.101"
        assert options["message-type"] == MessageType.ACK
        assert (options["subnet_mask"], options["lease_time"]) == ("255.255.255.0", 3600)
        assert "router" not in options
        assert "boot-file-name" not in options
    with serving(place, tmp_path, "lan0", rack.index(), **pool), place.tap("lan0") as tap:
        tap.send(packet(wanted.replace(rack.NODE.packed, LAST.packed)))
        refused = heard(tap)
        assert ("message-type", MessageType.NAK) in refused[DHCP].options
        tap.send(packet(phone))
        assert heard(tap)[BOOTP].yiaddr == "10.77.0.101"


@pytest.mark.parametrize(
    ("interface", "settings", "code", "message"),
    [
        ("", {}, 2, "no network interface is named"),
        ("lan9", {}, 2, "there is no network interface 'lan9'"),
        ("lan0", {"address": "10.77.0"}, 2, "'10.77.0' is not an IPv4 address"),
        ("lan0", {"dhcp_mode": "server"}, 2, "'' is not a pool of addresses"),
        (
            "lan0",
            {"dhcp_mode": "server", "dhcp_pool": "10.9.0.1-10.9.0.9"},
            2,
            "does not fit the network 10.77.0.0/24",
        ),
    ],
)
def test_wrong_settings_are_said_in_one_line(
    place: Bench,
    tmp_path: Path,
    interface: str,
    settings: dict[str, str],
    code: int,
    message: str,
) -> None:
    """Each ends the start with its exit code and a sentence, and without a traceback."""
    ended, text = Service(place, tmp_path, interface, **settings).ended()
    assert ended == code
    assert message in text
    assert "Traceback" not in text


def test_a_taken_port_is_said_in_one_line(place: Bench, tmp_path: Path) -> None:
    """Beside a first service on the same interface, the second refuses to start, and says why."""
    with serving(place, tmp_path / "first", "lan0", site()):
        code, text = Service(place, tmp_path / "second", "lan0").ended()
    assert code == 4
    assert "UDP port 67, which the dhcp service needs, is in use" in text
    assert "Traceback" not in text


def test_it_stops_when_it_is_told(place: Bench, tmp_path: Path) -> None:
    """SIGTERM is a clean end."""
    with serving(place, tmp_path, "lan0", site()) as service:
        assert service.end() == 0
