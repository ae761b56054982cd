"""Server mode among real programs: clients, a relay, another server, and a stranger."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether

from ironwake.mac import Mac
from ironwake_dhcp.packet import MessageType
from ironwake_dhcp.rehearse import discover
from ironwake_lab import network
from tests.dhcp import rack
from tests.dhcp.cable import Bench, Service, bench, ip, serving
from tests.dhcp.test_cable import OURS, heard, packet

pytestmark = pytest.mark.root

POOL = {"dhcp_mode": "server", "dhcp_pool": "10.77.0.100-10.77.0.119", "dhcp_beside": "yes"}
ALONE = {"dhcp_mode": "server", "dhcp_pool": "10.77.0.100-10.77.0.119"}
SUBNETS = """\
subnets:
  - network: 10.77.0.0/24
    pools: [10.77.0.100-10.77.0.119]
  - network: 10.78.0.0/24
    pools: [10.78.0.50-10.78.0.59]
    lease_seconds: 900
    router: 10.78.0.1
    dns: [10.78.0.5]
    ntp: [10.78.0.7]
    domain: far.example
    routes: [{to: 10.99.0.0/16, via: 10.78.0.254}]
"""
# What both clients call with the answer in the environment: it is written down, and nothing done.
SCRIPT = '#!/bin/sh\nenv > "$(dirname "$0")/$1$reason.env"\n'
_TIMEOUT = 120  # seconds for what must come


@pytest.fixture
def place() -> Iterator[Bench]:
    with bench() as made:
        made.plug("lan0", rack.ADDRESS, OURS)
        yield made


def script(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "script"
    path.write_text(SCRIPT)
    path.chmod(0o755)
    return path


def told(path: Path) -> dict[str, str]:
    """What the client gave its script."""
    lines = (line.partition("=") for line in path.read_text().splitlines())
    return {name: value for name, _, value in lines}


def udhcpc(namespace: str, interface: str, folder: Path) -> dict[str, str]:
    """busybox' client, until it has a lease; it asks for the options that a ramdisk asks for."""
    words = ("udhcpc", "-i", interface, "-f", "-q", "-n", "-t", "20", "-T", "1")
    asked = ("-O", "ntpsrv", "-O", "staticroutes", "-O", "domain", "-x", "hostname:Anna.Phone")
    run(namespace, *words, *asked, "-s", str(script(folder)))
    return told(folder / "bound.env")


def run(namespace: str, *words: str) -> None:
    done = subprocess.run(
        (*network.enter(namespace), *words),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def running(namespace: str, ready: str, *words: str) -> Iterator[None]:
    """Another program, from the line that says it is ready to the end of the block."""
    process = subprocess.Popen(
        (*network.enter(namespace), *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout
        assert any(ready in line for line in process.stdout), f"{words[0]} ended"
        yield
    finally:
        process.kill()
        process.communicate()


def journal(state: Path) -> dict[str, dict[str, object]]:
    """The last word about each address."""
    lines = (state / "dhcp" / "leases.jsonl").read_text().splitlines()
    return {item["address"]: item for line in lines for item in json.loads(line)["leases"]}


def test_a_real_client_gets_a_lease(place: Bench, tmp_path: Path) -> None:
    """busybox udhcpc, as in our ramdisk: the address, its terms, and its name in the journal."""
    with serving(place, tmp_path, "lan0", rack.index(), dhcp_router="10.77.0.254", **POOL):
        found = udhcpc(place.theirs, "m-lan0", tmp_path / "client")
    assert found["ip"] in {f"10.77.0.{n}" for n in range(100, 120)}
    assert (found["subnet"], found["router"], found["lease"]) == (
        "255.255.255.0",
        "10.77.0.254",
        "3600",
    )
    assert (found["dns"], found["domain"]) == (rack.ADDRESS, "ironwake.internal")
    assert journal(tmp_path)[found["ip"]]["hostname"] == "anna"


def test_a_reserved_address_and_its_release(place: Bench, tmp_path: Path) -> None:
    """ISC dhclient gets what is reserved for its card, outside of the pool, and gives it back."""
    card = "02:77:00:00:00:aa"
    ip("link", "set", "m-lan0", "address", card, inside=place.theirs)
    item = rack.entry(card, None)
    machine = dataclasses.replace(item.machine, reservations={card: "10.77.0.5"})
    index = rack.index(dataclasses.replace(item, machine=machine))
    here = tmp_path / "client"
    words = ("dhclient", "-4", "-1", "-sf", str(script(here)), "-cf", "/dev/null")
    files = ("-lf", str(here / "leases"), "-pf", str(here / "pid"))
    (here / "leases").touch()
    with serving(place, tmp_path, "lan0", index, **POOL):
        run(place.theirs, *words, *files, "m-lan0")
        assert told(here / "BOUND.env")["new_ip_address"] == "10.77.0.5"
        before = journal(tmp_path)["10.77.0.5"]
        # It sends by routing, and its script has set nothing up.
        ip("address", "add", "10.77.0.5/24", "dev", "m-lan0", inside=place.theirs)
        with place.tap("lan0") as tap:
            run(place.theirs, *words, *files, "-r", "m-lan0")
            until_last(tap)
    after = journal(tmp_path)["10.77.0.5"]
    assert after["mac"] == before["mac"] == card
    assert float(str(after["expires"])) < float(str(before["expires"]))


def until_last(tap: object) -> None:
    """A DISCOVER and its OFFER: whatever was sent before has been heard."""
    last = Mac("52:54:00:77:77:77")
    tap.send(packet(discover(last, rack.BIOS)))  # type: ignore[attr-defined]
    while heard(tap).dst != last:  # type: ignore[arg-type]
        pass


def test_through_a_real_relay(place: Bench, tmp_path: Path) -> None:
    """ISC dhcrelay with option 82, a router's way off: the far network's address and options."""
    far = f"{place.theirs}-far"
    ip("netns", "add", far)
    try:
        words = ("link", "add", "far0", "type", "veth", "peer", "c0", "netns", far)
        ip(*words, inside=place.theirs)
        ip("address", "add", "10.77.0.254/24", "dev", "m-lan0", inside=place.theirs)
        for address in ("10.78.0.1/24", "10.78.0.50/24"):  # the second is a stranger's
            ip("address", "add", address, "dev", "far0", inside=place.theirs)
        for inside, name in ((place.theirs, "far0"), (far, "c0")):
            ip("link", "set", name, "up", inside=inside)
        ip("route", "add", "10.78.0.0/24", "via", "10.77.0.254", inside=place.ours)
        file = tmp_path / "subnets.yaml"
        file.write_text(SUBNETS)
        settings = {"dhcp_mode": "server", "dhcp_subnets": str(file), "dhcp_beside": "yes"}
        relay = ("dhcrelay", "-4", "-d", "--no-pid", "-a", "-id", "far0", "-iu", "m-lan0")
        with (
            place.tap("lan0") as tap,
            serving(place, tmp_path, "lan0", rack.index(), **settings),
            running(place.theirs, "Sending on   Socket", *relay, rack.ADDRESS),
        ):
            while (frame := Ether(tap.recv(4096))).src == OURS or ICMP not in frame:
                pass
            assert frame[IP].src == "10.78.0.50"  # it answers the echo request
            found = udhcpc(far, "c0", tmp_path / "client")
            while UDP not in (offer := heard(tap)):
                pass
    finally:
        ip("netns", "delete", far)
    assert found["ip"] in {f"10.78.0.{n}" for n in range(51, 60)}
    assert journal(tmp_path)["10.78.0.50"]["mac"] == ""
    assert (found["router"], found["lease"], found["domain"]) == ("10.78.0.1", "900", "far.example")
    assert (found["dns"], found["ntpsrv"]) == ("10.78.0.5", "10.78.0.7")
    assert found["staticroutes"] == "10.99.0.0/16 10.78.0.254 0.0.0.0/0 10.78.0.1"
    # What the relay got: to its own address and port, its option 82 given back, as the last one.
    assert (offer[IP].src, offer[IP].dst) == (rack.ADDRESS, "10.78.0.1")
    assert (offer[UDP].sport, offer[UDP].dport) == (67, 67)
    codes = [item[0] for item in offer[DHCP].options if isinstance(item, tuple)]
    assert codes[-1] == "relay_agent_information"
    assert offer[BOOTP].giaddr == "10.78.0.1"


def test_a_subnet_is_added_at_work(place: Bench, tmp_path: Path) -> None:
    """A wrong file changes nothing, a right one is taken; clients are answered all along."""
    file = tmp_path / "subnets.yaml"
    settings = {"dhcp_mode": "server", "dhcp_subnets": str(file), "dhcp_beside": "yes"}
    file.write_text("subnets:\n  - network: 10.78.0.0/24\n")
    with serving(place, tmp_path, "lan0", rack.index(), **settings) as service:
        file.write_text("subnets:\n  - network: 10.77.0.9/24\n")
        service.wait_for("the subnets stay as they were")
        file.write_text(SUBNETS)
        service.wait_for("the subnets have changed")
        found = udhcpc(place.theirs, "m-lan0", tmp_path / "client")
        assert service.end() == 0
    assert found["ip"] in {f"10.77.0.{n}" for n in range(100, 120)}


def test_an_address_in_use_is_not_given(place: Bench, tmp_path: Path) -> None:
    """Somebody answers the probe for the first address: who asks gets another one."""
    taken = "10.77.0.100"
    stranger = "02:77:00:00:00:bb"
    with place.tap("lan0") as tap, serving(place, tmp_path, "lan0", rack.index(), **POOL):
        while True:
            frame = Ether(tap.recv(4096))
            if ARP in frame and frame.src == OURS and frame[ARP].pdst == taken:
                break
        assert frame[ARP].psrc == "0.0.0.0"  # a question in nobody's name fills no cache
        said = ARP(op=2, hwsrc=stranger, psrc=taken, hwdst=OURS, pdst="0.0.0.0")
        tap.send(bytes(Ether(src=stranger, dst=OURS) / said))
        while True:
            tap.send(packet(discover(rack.NODE, rack.BIOS)))
            if heard(tap)[BOOTP].yiaddr != taken:
                break
    assert journal(tmp_path)[taken]["mac"] == ""


def test_beside_another_server_it_does_not_start(place: Bench, tmp_path: Path) -> None:
    """The other one is named; a setting allows it."""
    ip("address", "add", "10.77.0.254/24", "dev", "m-lan0", inside=place.theirs)
    other = (
        "dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --interface=m-lan0 "
        "--bind-interfaces --dhcp-range=10.77.0.200,10.77.0.210 --pid-file= --log-facility=- "
        f"--user=root --dhcp-leasefile={tmp_path}/other"
    )
    with running(place.theirs, "sockets bound", *other.split()):
        code, text = Service(place, tmp_path, "lan0", **ALONE).ended()
        assert code == 4
        assert "another DHCP server, 10.77.0.254, gives addresses on lan0" in text
        assert "IRONWAKE_DHCP_BESIDE=yes" in text
        with serving(place, tmp_path, "lan0", rack.index(), **POOL) as service:
            assert service.end() == 0


def test_it_goes_on_asking_who_else_is_there(place: Bench, tmp_path: Path) -> None:
    """In server mode, too: another server may be plugged in long after the start."""
    with place.tap("lan0") as tap, serving(place, tmp_path, "lan0", rack.index(), **POOL):
        while DHCP not in (frame := Ether(tap.recv(4096))):
            pass
    assert ("message-type", MessageType.DISCOVER) in frame[DHCP].options


def test_alone_it_starts(place: Bench, tmp_path: Path) -> None:
    """Nobody answers the question at the start, and the service goes to work."""
    with serving(place, tmp_path, "lan0", rack.index(), **ALONE) as service:
        assert service.end() == 0


def test_acknowledged_leases_survive_kill_9(place: Bench, tmp_path: Path) -> None:
    """Whoever has an ACK has the address, after any crash; nobody else gets it."""
    ours = IPv4Address(rack.ADDRESS).packed
    acknowledged: dict[str, str] = {}
    pool = POOL | {"dhcp_authoritative": "yes"}
    for number in range(4):
        macs = [Mac(f"52:54:00:77:{number:02x}:{n:02x}") for n in range(4)]
        with (
            serving(place, tmp_path, "lan0", rack.index(), **pool) as service,
            place.tap("lan0") as tap,
        ):
            for card, address in acknowledged.items():
                back = request(Mac(card), address)
                tap.send(packet(back))
                assert ("message-type", MessageType.ACK) in heard(tap)[DHCP].options
                tap.send(packet(request(Mac("52:54:00:77:99:99"), address)))
                assert ("message-type", MessageType.NAK) in heard(tap)[DHCP].options
            for mac in macs:
                tap.send(packet(discover(mac, rack.BIOS)))
                address = heard(tap)[BOOTP].yiaddr
                tap.send(packet(request(mac, address, b"\x36\x04" + ours)))
                ack = heard(tap)
                assert ("message-type", MessageType.ACK) in ack[DHCP].options
                acknowledged[mac] = ack[BOOTP].yiaddr
            service.kill()
    assert len(set(acknowledged.values())) == 16


def request(mac: Mac, address: str, more: bytes = b"") -> bytes:
    """A REQUEST for this address."""
    head = discover(mac, rack.BIOS)[:240]
    wanted = IPv4Address(address).packed
    return head + b"\x35\x01\x03\x32\x04" + wanted + more + b"\xff"
