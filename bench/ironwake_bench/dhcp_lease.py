"""`make bench-dhcp-lease`: DISCOVER to ACK for 20,000 cards in server mode, against Kea.

Kea keeps its leases in memory and writes each to its file (memfile, persist), where it may stay in
the kernel's memory; ours are on the disk (fsync) before their ACKs leave.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ironwake_bench import cpu, ground, load, options, peers
from ironwake_bench.cells import Cell, Goal, report
from ironwake_bench.rounds import interleave, median
from ironwake_lab import Rack

_BENCH, _PEER = "dhcp-lease", "kea-dhcp4"
_APPLIANCE, _NETWORK = "10.77.0.2/16", "10.77.0.0/16"
_POOL = ("10.77.16.0", "10.77.127.255")
_FIRST, _CARDS, _OUTSTANDING = 0x100000, 20_000, 32
_CELL = "20,000 cards, 32 outstanding, rate"


def main() -> int:
    chosen = options.read("Addresses given by DHCP and kept, against Kea.")
    return report(_cells(chosen))


def _cells(chosen: options.Options) -> Iterator[Cell]:
    if not chosen.wants(_CELL):
        return
    settings = {"IRONWAKE_DHCP_MODE": "server", "IRONWAKE_DHCP_POOL": "-".join(_POOL)}
    with ground.ours(settings, address=_APPLIANCE) as ours, _kea() as (rack, kea):
        sides = {
            "ours": partial(_leases, ours.rack, ours.appliance.service_pid("dhcp")),
            _PEER: partial(_leases, rack, kea),
        }
        seen = interleave(sides, chosen.rounds)
    for name, all_of in seen.items():
        spent = median(one["cpu_us"] for one in all_of)
        slow = median(one["p99_us"] for one in all_of)
        print(f"{name}: {spent:.0f} us of cpu a lease, p99 {slow:.0f} us", file=sys.stderr)  # noqa: T201
    mine, its = (median(one["rate"] for one in seen[name]) for name in sides)
    yield Cell(_BENCH, _CELL, mine, "leases/s", Goal(0.5), its, _PEER)


def _leases(rack: Rack, pid: int) -> dict[str, Any]:
    """Every card once from its DISCOVER to its ACK, each of which is waited for."""
    before = cpu.seconds(pid)
    seen = load.run(rack, "dhcp", "lease", "eth0", _OUTSTANDING, _FIRST, _CARDS)
    seen["cpu_us"] = 1e6 * (cpu.seconds(pid) - before) / seen["answers"]
    seen["rate"] = seen["answers"] / seen["seconds"]
    return seen


@contextlib.contextmanager
def _kea() -> Iterator[tuple[Rack, int]]:
    program = peers.need("kea-dhcp4", "kea-dhcp4-server")
    with (
        ground.bare(_APPLIANCE) as rack,
        tempfile.TemporaryDirectory(prefix="bench-kea-") as name,
    ):
        folder = Path(name)
        (folder / "kea.json").write_text(json.dumps({"Dhcp4": _configuration(folder)}))
        places = [f"KEA_{kind}_DIR={folder}" for kind in ("PIDFILE", "LOCKFILE")]
        argv = ["env", *places, program, "-c", str(folder / "kea.json")]
        with peers.running(rack, argv, folder / "log") as pid:
            yield rack, pid


def _configuration(folder: Path) -> dict[str, Any]:
    return {
        "interfaces-config": {"interfaces": ["br0"], "dhcp-socket-type": "raw"},
        "lease-database": {
            "type": "memfile",
            "persist": True,
            "name": str(folder / "leases.csv"),
        },
        "valid-lifetime": 43200,
        "subnet4": [{"id": 1, "subnet": _NETWORK, "pools": [{"pool": " - ".join(_POOL)}]}],
        "loggers": [
            {
                "name": "kea-dhcp4",
                "severity": "WARN",
                "output_options": [{"output": str(folder / "kea.log")}],
            }
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
