"""The whole service on a real cable: the right interface, the right address, real loss."""

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
from tests.tftp.rack import ARMED, CONTENT, SHIM, UNARMED, index

pytestmark = pytest.mark.root
_RRQ = b"\0\1sb/shimx64.efi\0octet\0blksize\x001468\0tsize\x000\0windowsize\x0064\0"


class Cable:
    """Two namespaces: `ours` with interfaces lan and other, `theirs` with the far ends."""

    def __init__(self) -> None:
        self.pid = 0  # of the service
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
                    sock.sendto(_RRQ, ("192.0.2.1", 69))

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
        yield cable
    finally:
        if process is not None:
            process.terminate()
            _, rest = process.communicate(timeout=30)
            assert process.returncode == 0
            assert "transfer failed" not in rest
        cable.down()


def test_the_machine_is_known_by_its_card(tmp_path: Path) -> None:
    """The kernel's neighbour table names the card, and both our addresses answer for themselves."""
    with service(tmp_path) as cable:
        for ours in ("192.0.2.1", "192.0.2.2"):
            out = tmp_path / ours
            assert cable.get(f"tftp://{ours}/sb/shimx64.efi", out, "--tftp-blksize", "1468") == 0
            assert out.read_bytes() == SHIM


def test_another_card_gets_nothing(tmp_path: Path) -> None:
    """The same request from an enrolled but unarmed card: not found."""
    with service(tmp_path, UNARMED) as cable:
        assert cable.get("tftp://192.0.2.1/sb/shimx64.efi", tmp_path / "out") == 68


def test_the_other_interface_is_deaf(tmp_path: Path) -> None:
    """By the cable that was not named no request is answered, whatever address it asks."""
    with service(tmp_path) as cable:
        for ours in ("198.51.100.1", "192.0.2.1"):
            if ours == "192.0.2.1":
                cable.ip("-n", cable.theirs, "link", "set", "lan", "down")
                cable.ip("-n", cable.theirs, "route", "add", f"{ours}/32", "via", "198.51.100.1")
            status = cable.get(f"tftp://{ours}/sb/shimx64.efi", tmp_path / "out", "--max-time", "2")
            assert status not in (0, 68)


def test_a_fifth_of_all_packets_lost(tmp_path: Path) -> None:
    """At 20 % loss each way, by the kernel's own dice, a whole loader still arrives intact."""
    with service(tmp_path) as cable:
        cable.lose(0.2)
        out = tmp_path / "out"
        # curl gives up after five unanswered tries of its own; the request itself may be lost.
        for _ in range(3):
            status = cable.get(
                "tftp://192.0.2.1/sb/grubx64.efi", out, "--tftp-blksize", "1468", "-m", "120"
            )
            if status == 0:
                break
        assert status == 0
        assert out.read_bytes() == CONTENT["sb/grubx64.efi"]


def test_ten_thousand_that_never_answer(tmp_path: Path) -> None:
    """Their requests take no more than 150 MiB of the service, and a real client is served."""
    with service(tmp_path) as cable:
        cable.ask_and_go(10_000)
        out = tmp_path / "out"
        words = ("--tftp-blksize", "1468", "--max-time", "60")
        assert cable.get("tftp://192.0.2.1/sb/shimx64.efi", out, *words) == 0
        assert out.read_bytes() == SHIM
        status = dict(
            line.split(":", 1)
            for line in Path(f"/proc/{cable.pid}/status").read_text().splitlines()
        )
        assert int(status["VmHWM"].split()[0]) < 150 << 10
