"""`bench-render`: what is made for one machine: its boot script, and its order or answer file.

Each machine has a card of its own at the generator's end, as the check of cards wants it: a script
is only for the card that asks. Orders and answers are claims: each is one commit of the controller,
on disk before the first byte leaves.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ironwake_bench import cpu, fleet, load, options, requests
from ironwake_bench.cells import Cell, Goal, report
from ironwake_bench.ground import Ours, ours
from ironwake_bench.options import Options
from ironwake_bench.rounds import median
from ironwake_lab.host import call_each
from ironwake_lab.network import enter

_ENROLLED = 1000
_CARDS = 32  # machines that ask at the same time, each by its own card
_CLAIMS = 300  # in each round
_SECONDS = 3
_SCRIPTS = Goal(3000.0)
_CLAIMED = Goal(300.0)


@dataclass(frozen=True)
class Figure:
    """Replies per second, and per second of the service's processor time."""

    rate: float
    by_core: float


def _cards(here: Ours) -> None:
    """One interface for each of the asking machines: its card, and an address."""
    inside = enter(here.rack.router_namespace)
    for n in range(_CARDS):
        link = ["ip", "link", "add", "link", "eth0", "name", f"m{n}"]
        call_each(
            [
                [*inside, *link, "address", fleet.mac_of(n), "type", "macvlan", "mode", "bridge"],
                [*inside, "ip", "address", "add", f"10.77.0.{n + 10}/24", "dev", f"m{n}"],
                [*inside, "ip", "link", "set", f"m{n}", "up"],
            ]
        )
    # Each answers ARP for its own address only, and asks with it.
    settings = "echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore; "
    settings += "echo 2 > /proc/sys/net/ipv4/conf/all/arp_announce"
    call_each([[*inside, "sh", "-c", settings]])


def _scripts(here: Ours, name: str, closing: bool) -> Figure:
    """Scripts of the machines that have cards here; the service on one core, the load elsewhere."""
    host = here.appliance.address
    agent = {"User-Agent": "GRUB 2.12" if closing else "iPXE/1.21.1"}
    made = [requests.get(f"/boot/{fleet.mac_of(n)}/grub.cfg", host, agent) for n in range(_CARDS)]
    file = requests.write(here.folder / name.replace(" ", "-"), made)
    pid = here.appliance.service_pid("http")
    before = cpu.seconds(pid)
    words = (host, 80, file, _CARDS, _SECONDS, "cycle", f"devices=m:{_CARDS}")
    done = load.run(here.rack, "http", *words, *(("close",) if closing else ()))
    spent = cpu.seconds(pid) - before
    if done["fine"] != done["replies"] or done["failed"]:
        raise SystemExit(f"bench-render: not all were given: {done}")
    _check(here, host)
    return Figure(done["fine"] / done["seconds"], done["fine"] / spent)


def _check(here: Ours, host: str) -> None:
    """What was counted were boots: a client without the machine's card is led to its disk."""
    inside = enter(here.rack.router_namespace)
    words = [*inside, "curl", "-fsS", "--interface"]
    url = f"http://{host}/boot/{fleet.mac_of(1)}/grub.cfg"
    texts = [here.rack.run([*words, f"m{n}", url]).stdout for n in (0, 1)]
    if "another machine" not in texts[0] or "linux (http," not in texts[1]:
        raise SystemExit(f"bench-render: the check of cards does not work: {texts}")


def _claims(here: Ours, profile: str, numbers: range) -> float:
    """Claims per second: machines that were armed for it, each asks once."""
    armed = fleet.arm(here, numbers, profile)
    host = here.appliance.address
    last = "order" if profile == "debian" else "answers/preseed.cfg"
    made = [requests.get(f"/deployments/{one.token}/{last}", host) for one in armed]
    file: Path = requests.write(here.folder / "claims", made)
    done = load.run(here.rack, "http", host, 80, file, _CARDS, 600)
    if done["fine"] != len(numbers) or done["failed"]:
        raise SystemExit(f"bench-render: not all were given: {done}")
    return float(done["fine"] / done["seconds"])


def _cells(wish: Options) -> Iterator[Cell]:
    with ours(profiles=fleet.PROFILES, media=fleet.add_media) as here:
        fleet.enrol(here, _ENROLLED)
        _cards(here)
        fleet.arm(here, range(_CARDS))
        os.sched_setaffinity(here.appliance.service_pid("http"), {0})
        for name, closing in (("scripts", False), ("scripts, a connection each", True)):
            if wish.wants(name) or wish.wants(f"{name}, by core"):
                figures = []
                for number in range(wish.rounds):
                    _progress(name, number, wish.rounds)
                    figures.append(_scripts(here, name, closing))
                rate = median(one.rate for one in figures)
                yield Cell("render", name, rate, "scripts/s", _SCRIPTS)
                rate = median(one.by_core for one in figures)
                yield Cell("render", f"{name}, by core", rate, "scripts/CPU s", _SCRIPTS)
        os.sched_setaffinity(here.appliance.service_pid("http"), os.sched_getaffinity(0))
        first, enrolled = _CARDS, _ENROLLED
        for name, profile in (("orders", "debian"), ("answers", "installer")):
            if wish.wants(name):
                rates = []
                for number in range(wish.rounds):
                    _progress(name, number, wish.rounds)
                    if first + _CLAIMS > enrolled:
                        fleet.enrol(here, first + _CLAIMS - enrolled, enrolled)
                        enrolled = first + _CLAIMS
                    rates.append(_claims(here, profile, range(first, first + _CLAIMS)))
                    first += _CLAIMS
                yield Cell("render", name, median(rates), "claims/s", _CLAIMED)


def _progress(name: str, number: int, rounds: int) -> None:
    print(f"{name} {number + 1}/{rounds}", file=sys.stderr, flush=True)  # noqa: T201


def main() -> int:
    about = "Boot scripts, orders and answer files, each made for one machine."
    return report(_cells(options.read(about)))


if __name__ == "__main__":
    sys.exit(main())
