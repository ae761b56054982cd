"""`bench-dns`: the names of 1,000 machines, asked over UDP by four clients, against dnsmasq.

dnsmasq reads the same names from a file of hosts (`addn-hosts`), answers from its memory and asks
nobody else; ours has them from the controller, as machines that were seen with their addresses.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ironwake_bench import cpu, fleet, load, options, peers
from ironwake_bench.cells import Cell, Goal, report
from ironwake_bench.ground import Ours, bare, ours
from ironwake_bench.options import Options
from ironwake_bench.rounds import OURS, complain, interleave, median
from ironwake_lab import Rack

_PEER = "dnsmasq"
_NAMES = 1000
_DOMAIN = "ironwake.internal"
_WINDOWS = (4, 32, 128)  # questions on their way
_MOST = max(_WINDOWS)  # where the processor is what counts
_SECONDS = 2
_GOAL = Goal(0.8)
_CPU_GOAL = Goal(1 / 0.8, more=False)
_LOST = 0.001  # of all questions; UDP over a full socket loses some for any server


@dataclass(frozen=True)
class Side:
    name: str
    rack: Rack
    address: str
    pid: int
    questions: Path


@dataclass(frozen=True)
class Figure:
    """Answers per second, and microseconds of the server's processor time for each."""

    rate: float
    cost: float


def _address_of(number: int) -> str:
    return f"10.78.{number >> 8}.{number & 255}"


def _question(name: str) -> bytes:
    """RFC 1035 section 4.1: one question for an A record, recursion desired, as a resolver asks."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    message = b"\0\0\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"
    return len(message).to_bytes(2, "big") + message


def _questions(file: Path) -> Path:
    names = (f"{fleet.name_of(n)}.{_DOMAIN}" for n in range(_NAMES))
    file.write_bytes(b"".join(map(_question, names)))
    return file


def _our_side(here: Ours) -> Side:
    fleet.enrol(here, _NAMES)
    fleet.give_addresses(here, [_address_of(n) for n in range(_NAMES)])
    pid = here.appliance.service_pid("dns")
    questions = _questions(here.folder / "questions")
    return Side(OURS, here.rack, here.appliance.address, pid, questions)


@contextlib.contextmanager
def _dnsmasq(folder: Path, questions: Path) -> Iterator[Side]:
    program = peers.need("dnsmasq", "dnsmasq-base")
    hosts = folder / "hosts"
    lines = (f"{_address_of(n)} {fleet.name_of(n)}.{_DOMAIN}\n" for n in range(_NAMES))
    hosts.write_text("".join(lines))
    with bare() as rack:
        address = rack.spec.appliance.partition("/")[0]
        words = [program, "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv"]
        words += ["--no-hosts", f"--addn-hosts={hosts}", f"--listen-address={address}"]
        words += ["--bind-interfaces", "--user=root", "--pid-file="]
        with peers.running(rack, words, folder / "dnsmasq.log") as pid:
            peers.wait_tcp(rack, address, 53, folder / "dnsmasq.log")
            yield Side(_PEER, rack, address, pid, questions)


def measure(side: Side, window: int) -> Figure:
    """One round of one side."""
    before = cpu.seconds(side.pid)
    done = load.run(side.rack, "dns", side.address, 53, side.questions, window, _SECONDS)
    spent = cpu.seconds(side.pid) - before
    if done["odd"] or not done["answered"] or done["lost"] > _LOST * done["asked"]:
        complain("dns", side.name, done)
    good = done["answered"] - done["odd"]
    return Figure(good / done["seconds"], spent / max(good, 1) * 1e6)


def _cells(wish: Options) -> Iterator[Cell]:
    with ours() as here:
        mine = _our_side(here)
        with _dnsmasq(here.folder, mine.questions) as theirs:
            for window in _WINDOWS:
                name = f"w={window}"
                if wish.wants(name) or (window == _MOST and wish.wants(f"{name} cpu")):
                    yield from _pair(name, window, (mine, theirs), wish)


def _pair(name: str, window: int, sides: tuple[Side, Side], wish: Options) -> Iterator[Cell]:
    def turn(side: Side) -> Callable[[], Figure]:
        return lambda: measure(side, window)

    seen = interleave({side.name: turn(side) for side in sides}, wish.rounds, name)
    rate = {side: median(one.rate for one in found) for side, found in seen.items()}
    cost = {side: median(one.cost for one in found) for side, found in seen.items()}
    if wish.wants(name):
        yield Cell("dns", name, rate[OURS], "answers/s", _GOAL, rate[_PEER], _PEER)
    if window == _MOST and wish.wants(f"{name} cpu"):
        cell, unit = f"{name} cpu", "us/answer"
        yield Cell("dns", cell, cost[OURS], unit, _CPU_GOAL, cost[_PEER], _PEER)


def main() -> int:
    about = "Names of 1,000 machines over UDP, against dnsmasq."
    return report(_cells(options.read(about)))


if __name__ == "__main__":
    sys.exit(main())
