"""`bench-http`: a 100 MB artifact to many clients at once, whole and in ranges, against nginx.

nginx as it is packaged, with two workers and its default `sendfile_max_chunk`; ours with all its
checks and its reports to the controller.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ironwake.artifact import Manifest
from ironwake_bench import cpu, load, options, peers, requests
from ironwake_bench.cells import Cell, Goal, report
from ironwake_bench.ground import Ours, bare, ours
from ironwake_bench.options import Options
from ironwake_bench.rounds import OURS, complain, interleave, median
from ironwake_lab import Rack
from ironwake_runtime.artifacts import ArtifactStore

_PEER = "nginx"
SIZE = 100_000_000  # octets
_RANGE = 1_000_000  # octets: a piece, as who fetches by pieces asks for
_CLIENTS = (1, 8, 32, 64)
_MOST = max(_CLIENTS)  # where the processor is what counts
_SECONDS = 3
_GOAL = Goal(1.0)
_CPU_GOAL = Goal(1.2, more=False)
_NGINX = """\
worker_processes 2;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 768; }}
http {{
  sendfile on;
  tcp_nopush on;
  types_hash_max_size 2048;
  default_type application/octet-stream;
  gzip on;
  access_log {folder}/access.log;
  server {{ listen {address}:80; root {folder}/files; }}
}}
"""


@dataclass(frozen=True)
class Side:
    """A server and the path of the file on it."""

    name: str
    rack: Rack
    address: str
    target: str
    pid: int
    folder: Path


@dataclass(frozen=True)
class Figure:
    """MB/s, and seconds of the server's processor time per GB."""

    rate: float
    cost: float


def _store(store: ArtifactStore) -> None:
    block = os.urandom(1_000_000)
    item = store.add_bytes(block * (SIZE // len(block)))
    files = {"archive": "archive.tar.zst"}
    built = "2026-01-02T03:04:05Z"
    store.publish(Manifest("bench", "media", built, "f" * 64, {"archive": item}, files, {}))


def _our_side(here: Ours) -> Side:
    (item,) = ArtifactStore(here.folder / "artifacts").manifest("bench").artifacts.values()
    here.appliance.settle()
    return Side(
        OURS,
        here.rack,
        here.appliance.address,
        f"/artifacts/{item.sha256}/archive.tar.zst",
        here.appliance.service_pid("http"),
        here.folder,
    )


@contextlib.contextmanager
def _nginx(folder: Path, bytes_of: Path) -> Iterator[Side]:
    program = peers.need("nginx", "nginx-light")
    with bare() as rack:
        address = rack.spec.appliance.partition("/")[0]
        (folder / "files").mkdir(parents=True)
        # Its workers are nobody: they must be able to come to the file.
        for place in (folder.parent, folder, folder / "files"):
            place.chmod(0o755)
        os.link(bytes_of, folder / "files" / "archive.tar.zst")
        config = folder / "nginx.conf"
        config.write_text(_NGINX.format(folder=folder, address=address))
        with peers.running(rack, [program, "-c", config], folder / "nginx.log") as pid:
            peers.wait_tcp(rack, address, 80, folder / "nginx.log")
            yield Side(_PEER, rack, address, "/archive.tar.zst", pid, folder)


def measure(side: Side, clients: int, ranges: bool) -> Figure:
    """One round of one side."""
    if ranges:
        wanted = (
            {"Range": f"bytes={start}-{start + _RANGE - 1}"}
            for start in range(0, SIZE - _RANGE + 1, _RANGE)
        )
        made = [requests.get(side.target, side.address, more) for more in wanted]
    else:
        # As many as clients: each asks for it again and again.
        made = [requests.get(side.target, side.address)] * clients
    file = requests.write(side.folder / f"requests-{clients}", made)
    before = cpu.seconds(side.pid)
    done = load.run(side.rack, "http", side.address, 80, file, clients, _SECONDS, "cycle")
    spent = cpu.seconds(side.pid) - before
    if done["odd_status"] or not done["octets"] or not requests.all_taken(done):
        complain("http", side.name, done)
    return Figure(done["octets"] / done["seconds"] / 1e6, spent / (max(done["octets"], 1) / 1e9))


def _cells(wish: Options) -> Iterator[Cell]:
    with ours(media=_store) as here:
        mine = _our_side(here)
        bytes_of = next((here.folder / "artifacts" / "sha256").glob("*/*"))
        with _nginx(here.folder / "nginx", bytes_of) as theirs:
            for ranges in (False, True):
                for clients in _CLIENTS:
                    name = f"n={clients}{' ranges' if ranges else ''}"
                    if wish.wants(name) or (clients == _MOST and wish.wants(f"{name} cpu")):
                        yield from _pair(name, clients, ranges, (mine, theirs), wish)


def _pair(
    name: str, clients: int, ranges: bool, sides: tuple[Side, Side], wish: Options
) -> Iterator[Cell]:
    def turn(side: Side) -> Callable[[], Figure]:
        return lambda: measure(side, clients, ranges)

    seen = interleave({side.name: turn(side) for side in sides}, wish.rounds, name)
    rate = {side: median(one.rate for one in found) for side, found in seen.items()}
    cost = {side: median(one.cost for one in found) for side, found in seen.items()}
    if clients == 1:  # for comparison: there is no goal for one client alone
        words = f"{name}: ours {rate[OURS]:.0f} MB/s, {_PEER} {rate[_PEER]:.0f} MB/s"
        print(words, file=sys.stderr, flush=True)  # noqa: T201
    elif wish.wants(name):
        yield Cell("http", name, rate[OURS], "MB/s", _GOAL, rate[_PEER], _PEER)
    if clients == _MOST and wish.wants(f"{name} cpu"):
        unit = "s/GB"
        yield Cell("http", f"{name} cpu", cost[OURS], unit, _CPU_GOAL, cost[_PEER], _PEER)


def main() -> int:
    about = "A 100 MB file by HTTP, whole and in ranges, against nginx with sendfile."
    return report(_cells(options.read(about)))


if __name__ == "__main__":
    sys.exit(main())
