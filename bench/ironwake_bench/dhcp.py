"""`make bench-dhcp`: DISCOVER to OFFER beside a foreign server, against dnsmasq's proxy.

1,000 machines are enrolled, 250 of them armed, and those ask. The peer answers everyone by one
rule: it is asked for less than ours, and so at its fastest.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ironwake.errors import BrokenError
from ironwake_bench import cpu, fleet, ground, load, options, peers
from ironwake_bench.cells import Cell, Goal, report
from ironwake_bench.rounds import OURS, complain, interleave, median
from ironwake_lab import Rack

_BENCH, _PEER = "dhcp", "dnsmasq proxy"
_FIRST, _ENROLLED, _ARMED = 0x00B0_0000, 1000, 250  # the first of the fleet's cards
_SECONDS = 2
_IGNORED_RATE = 2000  # requests a second, so that none is dropped before it is looked at
_PATIENCE = 60.0
_LOST = 0.001  # of all requests: a full socket loses some for any server
_NEWS = 5.0  # seconds until everybody knows that those machines have been offered a loader
_NETWORK = "10.77.0.0"

# By the number of requests outstanding: cell, field of what the generator says, unit, goal.
_FIGURES = {
    1: (("1 outstanding, p99", "p99_us", "us", Goal(1.5, more=False)),),
    32: (
        ("32 outstanding, rate", "rate", "requests/s", Goal(1.0)),
        ("32 outstanding, cpu", "cpu_us", "us/request", Goal(1.0, more=False)),
    ),
}


@dataclass(frozen=True)
class Side:
    """A server in its rack, and the process whose time is counted."""

    rack: Rack
    pid: Callable[[], int]

    def offers(self, outstanding: int, seconds: int = _SECONDS) -> dict[str, Any]:
        """What the generator saw, and `rate` and the server's `cpu_us` for each answer."""
        return self._timed("offer", "eth0", seconds, outstanding, _FIRST, _ARMED)

    def silences(self) -> dict[str, Any]:
        """The same for machines that shall boot their disk."""
        rest = (_FIRST + _ARMED, _ENROLLED - _ARMED)
        return self._timed("ignore", "eth0", _SECONDS, _IGNORED_RATE, *rest)

    def _timed(self, *words: object) -> dict[str, Any]:
        pid = self.pid()
        before = cpu.seconds(pid)
        seen = load.run(self.rack, "dhcp", *words)
        spent = cpu.seconds(pid) - before
        seen["rate"] = seen["answers"] / seen["seconds"]
        seen["cpu_us"] = 1e6 * spent / max(seen["answers"] or seen["sent"], 1)
        return seen


def main() -> int:
    chosen = options.read("DHCP offers beside a foreign server, against dnsmasq's proxy.")
    _try_generator()
    return report(_cells(chosen))


def _cells(chosen: options.Options) -> Iterator[Cell]:
    with _ours() as ours, _dnsmasq() as peer:
        for side in (ours, peer):
            _wait_for(side)
        time.sleep(_NEWS)
        for outstanding, figures in _FIGURES.items():
            wanted = [one for one in figures if chosen.wants(one[0])]
            if wanted:
                asked = {
                    name: partial(_offers, name, side, outstanding)
                    for name, side in ((OURS, ours), (_PEER, peer))
                }
                seen = interleave(asked, chosen.rounds, f"{outstanding} outstanding")
                for name, key, unit, goal in wanted:
                    mine, its = (median(one[key] for one in seen[side]) for side in asked)
                    yield Cell(_BENCH, name, mine, unit, goal, its, _PEER)
        _be_silent(ours)


def _offers(name: str, side: Side, outstanding: int) -> dict[str, Any]:
    seen = side.offers(outstanding)
    if not seen["answers"] or seen["lost"] > _LOST * seen["sent"]:
        complain(_BENCH, name, seen)
    return seen


def _try_generator() -> None:
    """Say how fast the generator is where the server does next to nothing."""
    with ground.bare() as rack, tempfile.TemporaryDirectory(prefix="bench-echo-") as name:
        argv = (load.program("dhcp"), "echo", "br0")
        with peers.running(rack, argv, Path(name) / "log") as pid:
            echo = Side(rack, lambda: pid)
            _wait_for(echo)
            rates = [f"{echo.offers(number)['rate']:.0f}/s with {number}" for number in _FIGURES]
    _say(f"the generator against an echo: {', '.join(rates)} outstanding")


def _be_silent(ours: Side) -> None:
    """BrokenError where a machine that is not armed gets an answer."""
    seen = ours.silences()
    if seen["answers"] or seen["stray"]:
        raise BrokenError("machines that are not armed were answered", "this is a fault of ours")
    _say(f"requests of unarmed machines: {seen['cpu_us']:.0f} us each")


def _wait_for(side: Side) -> None:
    """Until it answers, and every card has asked once and more."""
    end = time.monotonic() + _PATIENCE
    while not side.offers(32, 1)["answers"]:
        if time.monotonic() > end:
            raise BrokenError("nobody answers", "read the server's log")


def _say(text: str) -> None:
    """Beside the cells, for whoever is looking."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


@contextlib.contextmanager
def _ours() -> Iterator[Side]:
    with ground.ours(profiles=fleet.PROFILES, media=fleet.add_media) as ours:
        fleet.enrol(ours, _ENROLLED)
        fleet.arm(ours, range(_ARMED))
        yield Side(ours.rack, lambda: ours.appliance.service_pid("dhcp"))


@contextlib.contextmanager
def _dnsmasq() -> Iterator[Side]:
    program = peers.need("dnsmasq", "dnsmasq-base")
    with ground.bare() as rack, tempfile.TemporaryDirectory(prefix="bench-dnsmasq-") as name:
        argv = [
            *(program, "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--port=0"),
            *("--user=root", "--interface=br0", "--bind-interfaces", "--log-facility=-"),
            *(f"--dhcp-range={_NETWORK},proxy", f"--dhcp-leasefile={name}/leases"),
            "--pxe-service=X86-64_EFI,Ironwake,sb/shimx64.efi",
            "--pxe-service=BC_EFI,Ironwake,sb/shimx64.efi",
            "--quiet-dhcp",
        ]
        with peers.running(rack, argv, Path(name) / "log") as pid:
            yield Side(rack, lambda: pid)


if __name__ == "__main__":
    sys.exit(main())
