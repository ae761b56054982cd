"""The whole service on a real cable between two namespaces."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from ironwake import wire
from ironwake.mac import Mac
from ironwake_lab import network
from ironwake_runtime.artifacts import ArtifactStore
from tests.tftp.rack import ARMED, CONTENT, index
from tests.tftp.rig import RRQ

OURS, ALSO_OURS, ELSEWHERE = "192.0.2.1", "192.0.2.2", "198.51.100.1"
_ADDRESSES = (OURS, ALSO_OURS, ELSEWHERE)
_ALL = 3  # ETH_P_ALL
_PATIENCE = 60  # seconds: an end for a broken run, never a measure
_TROUBLE = ("transfer failed", "Traceback")


class Cable:
    """Two namespaces: `ours` with interfaces lan and other, `theirs` with the far ends."""

    def __init__(self) -> None:
        self.pid = 0  # of the service
        self.counted: dict[str, int] = {}  # by the service, once it has ended
        tag = uuid4().hex[:6]
        self.ours, self.theirs = f"iwt-{tag}-o", f"iwt-{tag}-t"

    def ip(self, *words: str, inside: str = "") -> None:
        enter = network.enter(inside) if inside else []
        subprocess.run([*enter, "ip", *words], check=True, capture_output=True)

    def up(self, mac: Mac) -> None:
        for name in (self.ours, self.theirs):
            self.ip("netns", "add", name)
            self.ip("link", "set", "lo", "up", inside=name)
        for end, ours, theirs in (("lan", 1, 10), ("other", 1, 10)):
            net = "192.0.2" if end == "lan" else "198.51.100"
            self.ip(
                *("link", "add", end, "type", "veth"),
                *("peer", "name", end, "netns", self.theirs),
                inside=self.ours,
            )
            if end == "lan":
                self.ip("link", "set", end, "address", mac, inside=self.theirs)
            self.ip("addr", "add", f"{net}.{ours}/24", "dev", end, inside=self.ours)
            self.ip("addr", "add", f"{net}.{theirs}/24", "dev", end, inside=self.theirs)
            for name in (self.ours, self.theirs):
                self.ip("link", "set", end, "up", inside=name)
        # A second address on the LAN: what is asked there must be answered from there.
        self.ip("addr", "add", "192.0.2.2/24", "dev", "lan", inside=self.ours)

    def down(self) -> None:
        for name in (self.ours, self.theirs):
            with contextlib.suppress(subprocess.CalledProcessError):
                self.ip("netns", "del", name)

    def lose(self, share: float) -> None:
        """Lose that share of all UDP packets, each way."""
        for name in (self.ours, self.theirs):  # where they come in: a lost sendto is an error
            subprocess.run(
                [
                    *network.enter(name),
                    *("iptables", "-A", "INPUT", "-p", "udp"),
                    *("-m", "statistic", "--mode", "random", "--probability", str(share)),
                    *("-j", "DROP"),
                ],
                check=True,
            )

    def get(self, url: str, out: Path, *options: str) -> int:
        """curl's exit status: 0 the file is there, 68 "not found", 28 no answer."""
        command = ["curl", "-s", *options, "-o", str(out), url]
        return subprocess.run([*network.enter(self.theirs), *command], check=False).returncode

    @property
    def datagrams_sent(self) -> int:
        """UDP datagrams that have left our namespace: the service's, for nobody else is there."""
        return self._udp("OutDatagrams")

    @property
    def datagrams_come(self) -> int:
        """UDP datagrams that have come to our namespace, whether a socket was there for them."""
        return self._udp("InDatagrams") + self._udp("NoPorts")

    def _udp(self, counter: str) -> int:
        lines = Path(f"/proc/{self.pid}/net/snmp").read_text().splitlines()
        names, numbers = (line.split() for line in lines if line.startswith("Udp:"))
        return int(dict(zip(names[1:], numbers[1:], strict=True))[counter])

    @property
    def descriptors(self) -> int:
        """Open ones of the service."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    @property
    def peak_memory(self) -> int:
        """Octets of the service that were resident at once."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        found = next(line for line in lines if line.startswith("VmHWM:"))
        return int(found.split()[1]) << 10

    def have_card(self, address: str, mac: Mac) -> None:
        """Have our kernel believe that this address, at the far end, is that card's."""
        self.ip("addr", "add", f"{address}/24", "dev", "lan", inside=self.theirs)
        self.ip(
            *("neigh", "replace", address, "lladdr", mac, "dev", "lan", "nud", "permanent"),
            inside=self.ours,
        )

    def keep_quiet(self) -> None:
        """Let the far end tell nobody that a port of its is closed."""
        words = ("iptables", "-A", "OUTPUT", "-p", "icmp", "-j", "DROP")
        subprocess.run([*network.enter(self.theirs), *words], check=True)

    def client(self, address: str, port: int = 0, by: str = "") -> socket.socket:
        """A socket of the far end, with this address; `by` is the interface that it keeps to."""

        def made() -> socket.socket:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            if by:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, by.encode())
            sock.bind((address, port))
            return sock

        return network.inside(self.theirs, made)

    def tap(self) -> socket.socket:
        """Hears every frame at the far end, whomever it is for."""

        def made() -> socket.socket:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
            sock.bind(("lan", _ALL))
            sock.settimeout(60)  # for what must come
            return sock

        return network.inside(self.theirs, made)

    def told(self, tap: socket.socket) -> tuple[str, int]:
        """To which address and port the next UDP datagram goes that comes from our side."""
        while True:
            frame = tap.recv(65535)
            udp = frame[12:14] == b"\x08\0" and frame[23] == 17
            if udp and socket.inet_ntoa(frame[26:30]) in _ADDRESSES:
                return socket.inet_ntoa(frame[30:34]), int.from_bytes(frame[36:38], "big")

    def ask_and_go(self, times: int) -> None:
        """Machines that ask for a loader, each from new ports again and again, and are gone.

        The ports are none that the kernel gives a client: one that listens on all addresses of this
        namespace would get their answers.
        """
        machines = [f"192.0.2.{n}" for n in range(20, 220)]
        for machine in machines:
            self.ip("addr", "add", f"{machine}/24", "dev", "lan", inside=self.theirs)

        def ask() -> None:
            for number in range(times):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.bind((machines[number % len(machines)], 1024 + number))
                    sock.sendto(RRQ, ("192.0.2.1", 69))

        network.inside(self.theirs, ask)


@contextlib.contextmanager
def service(folder: Path, mac: Mac = ARMED) -> Iterator[Cable]:
    """The service as `python -m` starts it, with a saved view and no controller."""
    store = ArtifactStore(folder / "artifacts")
    for content in CONTENT.values():
        store.add_bytes(content)
    (folder / "views").mkdir()
    (folder / "views" / "tftp.json").write_bytes(wire.encode(index().view))
    cable = Cable()
    environment = {name: text for name, text in os.environ.items() if "IRONWAKE" not in name}
    environment |= {
        "IRONWAKE_INTERFACE": "lan",
        "IRONWAKE_STATE_DIR": str(folder),
        "IRONWAKE_CONTROLLER_URL": "http://127.0.0.1:9",
        "IRONWAKE_LOG_FORMAT": "json",
    }
    process: subprocess.Popen[str] | None = None
    rest = ""
    try:
        cable.up(mac)
        command = [*network.enter(cable.ours), sys.executable, "-m", "ironwake_tftp"]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.PIPE, text=True
            )
        assert process.stderr is not None
        for line in process.stderr:
            if json.loads(line)["event"] == "listening":
                break
        else:
            pytest.fail("the service did not start")
        cable.pid = process.pid
        try:
            yield cable
        finally:
            process.terminate()
            _, rest = process.communicate(timeout=_PATIENCE)
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.communicate()
        cable.down()
    # Only where the test itself has found nothing wrong, which would be the better word.
    assert process.returncode == 0, rest
    assert not [word for word in _TROUBLE if word in rest], rest
    cable.counted = _counted(rest)


def _counted(said: str) -> dict[str, int]:
    """What it says at its end."""
    lines = map(json.loads, said.splitlines())
    found: dict[str, int] = next(line["counted"] for line in lines if line["event"] == "stopped")
    return found
