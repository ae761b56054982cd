"""`make bench-tftp`: reads of 1 MB and 50 MB, one to 128 at once, against four TFTP servers.

The file is a loader on the shelf, and the generator's card an armed machine's, with 64 addresses:
of one address no more than four reads at once are served. Each peer is asked for what it can do:
of the four only atftpd knows windows, so it alone is the peer of those cells.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ironwake.errors import BrokenError
from ironwake_bench import cpu, fleet, ground, load, options, peers
from ironwake_bench.cells import Cell, Goal, report
from ironwake_bench.rounds import interleave, median
from ironwake_lab import Rack
from ironwake_lab.host import call, call_each
from ironwake_lab.network import enter
from ironwake_runtime.artifacts import ArtifactStore

_BENCH = "tftp"
_MEGABYTE = 1 << 20
_FILES = {size: hashlib.shake_256(b"%d" % size).digest(size * _MEGABYTE) for size in (1, 50)}
SOURCE, _SOURCES = "10.77.0.64", 64  # addresses of the generator's card
BLOCK = 1468  # octets, what fits an Ethernet frame
_WINDOWS = (1, 4, 16, 64)
_CLIENTS = {1: (1, 8, 32, 128), 50: (1, 8)}
_SECONDS = 60  # of one round of one side at most
_PATIENCE, _BETWEEN_LOOKS = 60.0, 0.25  # seconds until a file is served
_TFTPY = "tftpy"
_SERVE_TFTPY = "import sys, tftpy; tftpy.TftpServer(sys.argv[1]).listen(sys.argv[2], 3069)"


@dataclass(frozen=True)
class Side:
    """A server in its rack; `name` gives the file of so many megabytes."""

    rack: Rack
    port: int
    name: Callable[[int], str]
    pid: Callable[[], int]

    @property
    def address(self) -> str:
        return self.rack.spec.appliance.partition("/")[0]

    def read(self, size: int, clients: int, window: int, *more: str, times: int = 0) -> Read:
        """Many reads at once, each client `times` in a row (default: for about half a second)."""
        times = times or max(1, _megabytes(size, window) // (size * clients))
        before = cpu.seconds(self.pid())
        seen = load.run(
            self.rack,
            "tftp",
            *(self.address, self.port, self.name(size)),
            *(size * _MEGABYTE, clients, times, window, BLOCK, _SECONDS),
            f"source={SOURCE}:{_SOURCES}",
            *more,
        )
        gigabytes = max(seen["octets"] / 1e9, 1e-9)
        spent = cpu.seconds(self.pid()) - before
        return Read(seen["octets"] / seen["seconds"] / 1e6, spent / gigabytes, seen)

    def check(self, size: int, window: int) -> None:
        """Wait until the file is there, with every octet in its place; BrokenError if it is not."""
        end = time.monotonic() + _PATIENCE
        crc = f"crc={zlib.crc32(_FILES[size]):08x}"
        while True:
            seen = self.read(size, 1, window, crc, times=1).seen
            if seen["finished"] == 1 and (seen["blksize"], seen["windowsize"]) == (BLOCK, window):
                return
            if time.monotonic() > end:
                raise BrokenError(f"{self.name(size)} is not served: {seen}", "read the log")
            time.sleep(_BETWEEN_LOOKS)


@dataclass(frozen=True)
class Read:
    """`rate` in MB/s, the server's processor time in `cpu` seconds for each GB."""

    rate: float
    cpu: float
    seen: dict[str, Any]


def lost(seen: dict[str, Any]) -> BrokenError:
    """Reads of ours have failed: no figure counts then."""
    return BrokenError(f"reads of ours failed: {seen}", "this is a fault of ours")


def _megabytes(size: int, window: int) -> int:
    """How much is read in a round: fast cells need more for a figure that means something."""
    return (32 if window < 16 else 128) if size == 1 else 100


def main() -> int:
    chosen = options.read("TFTP reads, against dnsmasq, tftpd-hpa, atftpd and tftpy.")
    _try_generator()
    return report(_cells(chosen))


def _cells(chosen: options.Options) -> Iterator[Cell]:
    with serving() as ours, others() as peers_:
        for size, at_once in _CLIENTS.items():
            ours.check(size, 64)
            for side in (ours, *peers_.values()):
                side.check(size, 1)
            for clients in at_once:
                for window in _WINDOWS:
                    yield from _cell(chosen, size, clients, window, ours, peers_)


def _cell(
    chosen: options.Options,
    size: int,
    clients: int,
    window: int,
    ours: Side,
    peers_: Mapping[str, Side],
) -> Iterator[Cell]:
    name = f"{size} MB x {clients}, windowsize {window}"
    against_tftpy = f"{name}, tftpy" if (size, clients, window) == (1, 128, 1) else ""
    if not (chosen.wants(name) or (against_tftpy and chosen.wants(against_tftpy))):
        return
    able = {n: side for n, side in peers_.items() if window == 1 or n == "atftpd"}
    asked = {n: partial(s.read, size, clients, window) for n, s in {"ours": ours, **able}.items()}
    seen = interleave(asked, chosen.rounds, name)
    for one in seen["ours"]:
        if one.seen["failed"]:
            raise lost(one.seen)
    rates = {n: median(one.rate for one in all_) for n, all_ in seen.items()}
    spent = {n: median(one.cpu for one in all_) for n, all_ in seen.items()}
    _say(name + "".join(f"; {n}: {rates[n]:.0f} MB/s, {spent[n]:.2f} s/GB" for n in rates))
    best = max(able, key=lambda n: rates[n])
    goal = Goal(1.5 if (clients, window) == (8, 16) else 0.8)
    if chosen.wants(name):
        yield Cell(_BENCH, name, rates["ours"], "MB/s", goal, rates[best], best)
    if against_tftpy and chosen.wants(against_tftpy):
        goal = Goal(2.5)
        yield Cell(_BENCH, against_tftpy, rates["ours"], "MB/s", goal, rates[_TFTPY], _TFTPY)


def _try_generator() -> None:
    """Say how fast the generator is where the server looks at nothing."""
    with ground.bare() as rack, tempfile.TemporaryDirectory(prefix="bench-sink-") as name:
        prepare(rack)
        where = rack.spec.appliance.partition("/")[0]
        argv = (load.program("tftp"), "serve", where, "69", str(_MEGABYTE))
        with peers.running(rack, argv, Path(name) / "log") as pid:
            sink = Side(rack, 69, str, lambda: pid)
            rates = [f"{sink.read(1, 8, w).rate:.0f} MB/s at windowsize {w}" for w in _WINDOWS]
    _say(f"the generator against a sink, 1 MB x 8: {', '.join(rates)}")


def prepare(rack: Rack) -> None:
    """The generator's card and addresses; and each block a frame of its own on the cable, as on
    one behind a card that cannot cut them itself."""
    inside = [*enter(rack.router_namespace), "ip"]
    first = int(SOURCE.rpartition(".")[2])
    net = SOURCE.rpartition(".")[0]
    mask = rack.spec.network.prefixlen
    call_each(
        [
            [*inside, "link", "set", "eth0", "address", fleet.mac_of(0)],
            *(
                [*inside, "address", "add", f"{net}.{first + n}/{mask}", "dev", "eth0"]
                for n in range(_SOURCES)
            ),
        ]
    )
    ethtool = peers.need("ethtool", "ethtool")
    call([*enter(rack.namespace), ethtool, "-K", "br0", "tx-udp-segmentation", "off"])


@contextlib.contextmanager
def serving() -> Iterator[Side]:
    """Ours, with the files on the shelf and the generator's card armed."""
    with ground.ours(profiles=fleet.PROFILES, media=_stock) as ours:
        prepare(ours.rack)
        fleet.enrol(ours, 1)
        fleet.arm(ours, [0])
        pid = partial(ours.appliance.service_pid, "tftp")
        side = Side(ours.rack, 69, "bench/{}.efi".format, pid)
        # Of its many addresses the generator's kernel speaks by one when it asks for our card. The
        # others' first requests are refused, and have our kernel ask whose they are.
        side.read(1, _SOURCES, 1, times=1)
        yield side


def _stock(store: ArtifactStore) -> None:
    """What a deployment needs, and the files among the loaders."""
    fleet.add_media(store)
    there = store.manifest("loaders")
    more = {f"bench/{size}.efi": store.add_bytes(data) for size, data in _FILES.items()}
    files = {role: role.rpartition("/")[2] for role in more}
    artifacts = {**there.artifacts, **more}
    store.publish(replace(there, artifacts=artifacts, files={**there.files, **files}))


@contextlib.contextmanager
def others() -> Iterator[dict[str, Side]]:
    """The peers, side by side in one rack; one is asked at a time."""
    with (
        ground.bare() as rack,
        tempfile.TemporaryDirectory(prefix="bench-tftp-") as folder,
        contextlib.ExitStack() as stack,
    ):
        prepare(rack)
        where = rack.spec.appliance.partition("/")[0]
        root = Path(folder) / "files"
        root.mkdir()
        Path(folder).chmod(0o755)
        for size, data in _FILES.items():
            (root / str(size)).write_bytes(data)
        found = {}
        for name, (port, argv) in _commands(str(root), where).items():
            pid = stack.enter_context(peers.running(rack, argv, Path(folder) / f"{name}.log"))
            found[name] = Side(rack, port, str, lambda pid=pid: pid)  # type: ignore[misc]
        yield found


def _commands(root: str, where: str) -> dict[str, tuple[int, list[str]]]:
    """Port and words of each peer, as its manual says for many clients."""
    dnsmasq = peers.need("dnsmasq", "dnsmasq-base")
    hpa = str(peers.unpack("tftpd-hpa", "/usr/sbin/in.tftpd"))
    atftpd = peers.need("atftpd", "atftpd")
    return {
        "dnsmasq": (
            69,
            [
                *(dnsmasq, "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file="),
                *("--port=0", "--user=root", "--interface=br0", "--bind-interfaces"),
                *("--log-facility=-", "--enable-tftp", "--tftp-max=1024", f"--tftp-root={root}"),
                "--quiet-tftp",
            ],
        ),
        "tftpd-hpa": (1069, [hpa, "-L", "-u", "root", "-a", f"{where}:1069", "-s", root]),
        "atftpd": (
            2069,
            [
                *(atftpd, "--daemon", "--no-fork", "--port", "2069", "--bind-address", where),
                *("--maxthread", "1024", "--user", "root", "--group", "root"),
                *("--logfile", "/dev/null", "--verbose=0", root),
            ],
        ),
        _TFTPY: (3069, [sys.executable, "-c", _SERVE_TFTPY, root, where]),
    }


def _say(text: str) -> None:
    """Beside the cells, for whoever is looking."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
