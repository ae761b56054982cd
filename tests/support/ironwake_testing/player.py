"""A machine that is played: a card on the rack's bridge, without a computer behind it.

What firmware and loaders say is said here by programs: recorded requests go out byte for byte, and
files are fetched by curl, from an address and a card that are the machine's.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from ironwake.errors import BrokenError
from ironwake.mac import Mac
from ironwake_lab import Rack, network
from ironwake_lab.capture import Capture, Frame
from ironwake_lab.host import call, call_each
from ironwake_lab.wire import send_frame

PATIENCE = 120.0  # seconds: an end for a broken run, never a measure
_SERVER, _CLIENT = 67, 68
_XID = slice(4, 8)


def payload_of(frame: Frame) -> bytes:
    """The UDP payload of a frame, without the padding of short ones."""
    start = 14 + (frame.data[14] & 0xF) * 4
    length = int.from_bytes(frame.data[start + 4 : start + 6], "big")
    return frame.data[start + 8 : start + length]


@dataclass(frozen=True)
class Reply:
    """`status` is HTTP's."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Player:
    """One played machine; `server` is the appliance's address."""

    mac: str
    namespace: str
    server: str
    prefix: int

    def take(self, address: str) -> None:
        """Have this IPv4 address from now on, and no other."""
        ip = [*network.enter(self.namespace), "ip", "addr"]
        call_each(
            [
                [*ip, "flush", "dev", "eth0"],
                [*ip, "add", f"{address}/{self.prefix}", "dev", "eth0"],
            ]
        )

    def broadcast(self, request: bytes) -> None:
        """Send a DHCP request (a UDP payload) as firmware without an address does."""
        ip = IP(src="0.0.0.0", dst="255.255.255.255")  # RFC 2131 section 4.1
        ether = Ether(src=self.mac, dst="ff:ff:ff:ff:ff:ff")
        frame = ether / ip / UDP(sport=_CLIENT, dport=_SERVER) / request
        send_frame(self.namespace, "eth0", bytes(frame))

    def answer(self, frames: Capture, request: bytes, server_mac: str) -> bytes:
        """Send the request, and wait for the UDP payload that answers it from this card."""
        self.broadcast(request)
        source = Mac(server_mac).packed

        def is_answer(frame: Frame) -> bool:
            ours = frame.source == source and frame.udp_ports == (_SERVER, _CLIENT)
            return ours and payload_of(frame)[_XID] == request[_XID]

        return payload_of(frames.wait_for(is_answer, PATIENCE))

    def http(self, target: str, *words: str) -> Reply:
        """GET a path of the appliance, or a whole URL."""
        url = target if "://" in target else f"http://{self.server}/{target}"
        done = self._curl("-w", "%{stderr}%{http_code}", *words, url)
        return Reply(int(done.stderr), done.stdout)

    def tftp(self, name: str) -> bytes | None:
        """Read a file; None where the server says that there is none for this machine."""
        done = self._curl(f"tftp://{self.server}/{name}")
        if done.returncode == _TFTP_NOT_FOUND:
            return None
        done.check_returncode()
        return done.stdout

    def hears_nothing_by_tftp(self, name: str, machine: Player) -> bool:
        """Whether the server says nothing at all to who asks for that file.

        `machine` asks right after. Its answer, whatever it is, proves that the request was heard
        and gone by; the server's kernel must know this card, which it would ask for otherwise.
        """
        with network.inside(self.namespace, _datagram_socket) as line:
            line.setblocking(False)
            line.sendto(b"\0\1%s\0octet\0" % name.encode(), (self.server, _TFTP))
            machine.tftp(name)
            try:
                line.recv(_DATAGRAM_BYTES)
            except BlockingIOError:
                return True
        return False

    def tftp_read(self, request: bytes) -> tuple[dict[str, str], bytes]:
        """Read a file by this very request, which asks for options: what was granted, the file."""
        with network.inside(self.namespace, _datagram_socket) as line:
            line.settimeout(PATIENCE)
            line.sendto(request, (self.server, _TFTP))
            answer, peer = line.recvfrom(_DATAGRAM_BYTES)
            if answer[:2] != _OACK:
                raise BrokenError(f"no options were granted: {answer[:80]!r}")
            words = answer[2:].decode().split("\0")
            granted = dict(zip(words[::2], words[1::2], strict=False))
            return granted, _blocks(line, peer, int(granted["blksize"]))

    def _curl(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        inside = [*network.enter(self.namespace), "curl", "-s", "--max-time", f"{PATIENCE:.0f}"]
        return subprocess.run([*inside, *words], capture_output=True, check=False)


_TFTP_NOT_FOUND = 68  # curl(1), EXIT CODES
# RFC 1350 section 5, RFC 2347.
_TFTP, _DATA, _ACK, _OACK = 69, b"\0\3", b"\0\4", b"\0\6"
_DATAGRAM_BYTES = 65536


def _datagram_socket() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def _blocks(line: socket.socket, peer: tuple[str, int], size: int) -> bytes:
    content, number, last = [], 0, size
    while last == size:
        line.sendto(_ACK + number.to_bytes(2, "big"), peer)
        block = line.recv(_DATAGRAM_BYTES)
        while block[:4] != _DATA + (number + 1).to_bytes(2, "big"):  # sent twice
            block = line.recv(_DATAGRAM_BYTES)
        content.append(block[4:])
        number, last = number + 1, len(block) - 4
    line.sendto(_ACK + number.to_bytes(2, "big"), peer)
    return b"".join(content)


@contextlib.contextmanager
def played(rack: Rack, mac: str, address: str = "") -> Iterator[Player]:
    """Plug a card with this MAC into the rack's bridge, for a `with` block.

    It has this IPv4 address, or none until it takes one.
    """
    spec = rack.spec
    mark = hashlib.sha256(mac.encode()).hexdigest()[:6]
    name, port = f"{rack.namespace}-{mark}", f"play{mark}"
    inside, ours = [*network.enter(name), "ip"], [*network.enter(rack.namespace), "ip"]
    call(["ip", "netns", "add", name])
    try:
        peer = ["peer", "name", "eth0", "netns", name]
        call_each(
            [
                [*ours, "link", "add", port, "type", "veth", *peer],
                [*ours, "link", "set", port, "master", network.BRIDGE, "up"],
                [*inside, "link", "set", "eth0", "address", mac],
                [*inside, "link", "set", "eth0", "up"],
            ]
        )
        _wait_forwarding(ours, port)
        player = Player(mac, name, spec.appliance.partition("/")[0], spec.network.prefixlen)
        if address:
            player.take(address)
        yield player
    finally:
        with contextlib.suppress(BrokenError):  # it may not have come to that
            # The namespace ends some time after its removal, and its link with it: this is at once.
            call([*ours, "link", "delete", port])
        network.remove(name)


def _wait_forwarding(ours: list[str], port: str) -> None:
    # The bridge hears of a new port's carrier a moment later, and drops what comes before.
    end = time.monotonic() + PATIENCE
    while _FORWARDING not in call([*ours, "-d", "-j", "link", "show", "dev", port]):
        if time.monotonic() > end:
            raise BrokenError(f"the bridge does not forward what {port} sends")
        time.sleep(0.01)


_FORWARDING = '"state":"forwarding"'
