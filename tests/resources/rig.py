"""An appliance that is its network's DHCP server, and what its clients and its person say to it.

What machines load is made up and small: how the services fare is looked at, not what they serve.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from dnslib import DNSRecord

from ironwake import wire
from ironwake.firmware import BY_NAME
from ironwake.mac import Mac
from ironwake.report import ClaimRequest
from ironwake_dhcp.rehearse import discover
from ironwake_lab import Rack, RackSpec, network
from ironwake_lab.appliance import API, Appliance, ApplianceSpec
from ironwake_lab.capture import Capture, Frame
from ironwake_lab.host import call
from ironwake_lab.storm.stage import Sizes, fill
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_testing.dhcp import KIND, options, with_option
from ironwake_testing.player import Player, payload_of

LAN_SIDE = ("dhcp", "dns", "http", "tftp")
SERVICES = ("controller", *LAN_SIDE)
OURS = "10.77.0.2"
NODE, OTHER = "52:54:00:77:00:21", "52:54:00:77:00:22"
SMALL = Sizes(60_000, 70_000, 20_000, 80_000, 90_000, 100_000)
_SERVER_MODE = {
    "IRONWAKE_DHCP_MODE": "server",
    "IRONWAKE_DHCP_POOL": "10.77.0.100-10.77.0.109",
    "IRONWAKE_LOG_FORMAT": "json",
}
_PATIENCE = 60.0  # seconds: an end for a broken run, never a measure
_LOOKS = 5000  # each takes as long as a process
_REQUEST = b"\x03"
OFFER, ACK, NAK = b"\x02", b"\x05", b"\x06"
_WANTED, _SERVER_ID = 50, 54


@dataclass(frozen=True)
class Answer:
    """HTTP's; `problem` where it is one (RFC 9457)."""

    status: int
    text: str

    @property
    def problem(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text)
        return found


@dataclass(frozen=True)
class Place:
    """`log` is what the services said so far."""

    rack: Rack
    appliance: Appliance
    state: Path
    log: Path

    def call(self, method: str, path: str, body: Any = None, role: str = "admin") -> Answer:
        """The controller's answer, whatever it is."""
        token = (self.state / "secrets" / f"{role}.token").read_text().strip()
        words = ["curl", "-sS", "--max-time", "60", "-X", method, "-w", "\n%{http_code}"]
        words += ["-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json"]
        if body is not None:
            words += ["-d", wire.encode(body).decode()]
        text, _, status = self.rack.run([*words, f"{API}{path}"]).stdout.rpartition("\n")
        return Answer(int(status), text)

    def wait_ready(self) -> None:
        """Until the controller answers."""
        words = ["curl", "-fsS", "--retry", "60", "--retry-delay", "1", "--retry-all-errors"]
        self.rack.run([*words, f"{API}/readyz"])

    def good(self, method: str, path: str, body: Any = None) -> Any:
        """The document of a call that must work."""
        answer = self.call(method, path, body)
        assert answer.status < 400, answer.text
        return json.loads(answer.text)

    def enrol(self, name: str, mac: str) -> Answer:
        return self.call("POST", "/v1/machines", {"name": name, "macs": [mac]})

    def arm(self, name: str, **more: Any) -> tuple[str, str]:
        """A deployment and its token; the services go by it when this returns."""
        body = {"profile": "small", "wake": False, **more}
        made = self.good("POST", f"/v1/machines/{name}/deploy", body)
        self.appliance.settle()
        view = json.loads(self.call("GET", "/internal/view", role="service").text)
        live = (one["deployment"] for one in view["entries"] if one["deployment"])
        return next((d["id"], d["token"]) for d in live if d["id"] == made["id"])

    def claim(self, token: str, client: str) -> Answer:
        return self.call("POST", "/internal/claims", ClaimRequest(token, client), "service")

    def resolve(self, name: str) -> list[str]:
        """What our DNS says."""
        question = DNSRecord.question(name)
        with network.inside(self.rack.namespace, _udp) as line:
            line.settimeout(_PATIENCE)
            line.sendto(question.pack(), (self.address, 53))
            return [str(row.rdata) for row in DNSRecord.parse(line.recv(2048)).rr]

    @property
    def address(self) -> str:
        """The appliance's own, as it is now."""
        found = json.loads(call([*network.enter(self.rack.namespace), "ip", "-j", "addr"]))
        (bridge,) = (one for one in found if one["ifname"] == network.BRIDGE)
        return str(next(one["local"] for one in bridge["addr_info"] if one["family"] == "inet"))

    def pids(self) -> dict[str, int]:
        return {name: self.appliance.service_pid(name) for name in SERVICES}

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def events(self, event: str) -> list[str]:
        """Which services said so, in this order."""
        lines = (json.loads(line) for line in self.said().splitlines() if line.startswith("{"))
        return [line["service"] for line in lines if line["event"] == event]

    def wait_events(self, event: str, times: int) -> None:
        """Until each service on the machines' side has said so, so often."""
        for _ in range(_LOOKS):
            said = Counter(self.events(event))
            if all(said[name] >= times for name in LAN_SIDE):
                return
            self.rack.run(["true"])
        raise AssertionError(f"not everyone said {event!r}: {self.said()}")


@dataclass(frozen=True)
class Client:
    """One that asks for an address; `frames` is all that is heard on its network."""

    player: Player
    frames: Capture
    server_mac: str

    def offered(self, wanted: str = "") -> str:
        """The address that it is offered."""
        message = discover(Mac(self.player.mac), BY_NAME["bios-pxe"], secrets.randbits(32))
        if wanted:
            message = with_option(message, _WANTED, IPv4Address(wanted).packed)
        return _given(self.player.answer(self.frames, message, self.server_mac))

    def request(self, address: str, server: str = OURS) -> bytes:
        """The REQUEST that takes an offer."""
        message = discover(Mac(self.player.mac), BY_NAME["bios-pxe"], secrets.randbits(32))
        chosen = with_option(message, KIND, _REQUEST)
        chosen = with_option(chosen, _WANTED, IPv4Address(address).packed)
        return with_option(chosen, _SERVER_ID, IPv4Address(server).packed) if server else chosen

    def ask(self, message: bytes) -> tuple[bytes, str]:
        """What kind of answer comes to it, and with which address."""
        answer = self.player.answer(self.frames, message, self.server_mac)
        return options(answer)[KIND], _given(answer)

    def lease(self, server: str = OURS) -> str:
        """Get an address, all the way."""
        kind, address = self.ask(self.request(self.offered(), server))
        assert kind == ACK
        return address

    def heard(self, message: bytes) -> list[Frame]:
        """Answers to this very message, so far."""
        xid = message[4:8]
        ours = (frame for frame in self.frames if frame.udp_ports == (67, 68))
        return [frame for frame in ours if payload_of(frame)[4:8] == xid]


def _given(answer: bytes) -> str:
    return str(IPv4Address(answer[16:20]))


def _udp() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of this size, gone at the end."""
    folder.mkdir()
    call(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(folder)])
    try:
        yield folder
    finally:
        call(["umount", "--lazy", str(folder)])


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """Not one octet more on this file system, until the end of the block."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def place(
    folder: Path,
    state: Path | None = None,
    log: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Place]:
    """Raise it; `state` and `log` may be somewhere special."""
    fill(ArtifactStore(folder / "artifacts"), SMALL)
    profiles = folder / "profiles"
    profiles.mkdir()
    (profiles / "small.yaml").write_text("release: debian-12-cloud\nmethod: archive\n")
    where = state or folder / "state"
    spec = RackSpec(f"r{os.getpid()}x{secrets.token_hex(2)}", (), None)
    with Rack.up(spec) as rack:
        own = {**_SERVER_MODE, **(settings or {})}
        appliance = Appliance(rack, ApplianceSpec(where, folder / "artifacts", profiles, own))
        appliance.log = log or folder / "serve.log"
        with appliance:
            yield Place(rack, appliance, where, appliance.log)
