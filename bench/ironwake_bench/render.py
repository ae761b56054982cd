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

from ironwake_bench import cpu, fleet, load, options, requests
from ironwake_bench.cells import Cell, Goal, report
from ironwake_bench.ground import Ours, ours
from ironwake_bench.options import Options
from ironwake_bench.rounds import median
from ironwake_lab.network import enter

_ENROLLED = 1000
_CARDS = 300  # machines that have their own card at the generator's end, and are armed
_ASKING = 32  # of them at the same time
_SECONDS = 3
_SCRIPTS = Goal(3000.0)
_CLAIMED = Goal(300.0)


@dataclass(frozen=True)
class Figure:
    """Replies per second, and per second of the service's processor time."""

    rate: float
    by_core: float


def _scripts(here: Ours, name: str, closing: bool) -> Figure:
    """Scripts of the machines that have cards here; the service on one core, the load elsewhere."""
    host = here.appliance.address
    agent = {"User-Agent": "GRUB 2.12" if closing else "iPXE/1.21.1"}
    many = _CARDS if closing else _ASKING  # a kept connection stays on its card
    made = [requests.get(f"/boot/{fleet.mac_of(n)}/grub.cfg", host, agent) for n in range(many)]
    file = requests.write(here.folder / name.replace(" ", "-"), made)
    pid = here.appliance.service_pid("http")
    before = cpu.seconds(pid)
    words = (host, 80, file, _ASKING, _SECONDS, "cycle", fleet.cards(many))
    done = load.run(here.rack, "http", *words, *(("close",) if closing else ()))
    spent = cpu.seconds(pid) - before
    if done["fine"] != done["replies"] or not requests.all_taken(done):
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


def _claims(here: Ours, profile: str) -> float:
    """Claims per second: machines that are armed for it anew, each asks once, by its card."""
    fleet.cancel(here)
    armed = fleet.arm(here, range(_CARDS), profile)
    done = fleet.claim(here, armed, "order" if profile == "debian" else "answers/preseed.cfg")
    return float(done["fine"] / done["seconds"])


def _cells(wish: Options) -> Iterator[Cell]:
    with ours(profiles=fleet.PROFILES, media=fleet.add_media) as here:
        fleet.enrol(here, _ENROLLED)
        fleet.give_cards(here, _CARDS)
        fleet.arm(here, range(_CARDS))
        pid = here.appliance.service_pid("http")
        os.sched_setaffinity(pid, {min(os.sched_getaffinity(0))})
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
        os.sched_setaffinity(pid, os.sched_getaffinity(0))
        for name, profile in (("orders", "debian"), ("answers", "installer")):
            if wish.wants(name):
                rates = []
                for number in range(wish.rounds):
                    _progress(name, number, wish.rounds)
                    rates.append(_claims(here, profile))
                yield Cell("render", name, median(rates), "claims/s", _CLAIMED)


def _progress(name: str, number: int, rounds: int) -> None:
    print(f"{name} {number + 1}/{rounds}", file=sys.stderr, flush=True)  # noqa: T201


def main() -> int:
    about = "Boot scripts, orders and answer files, each made for one machine."
    return report(_cells(options.read(about)))


if __name__ == "__main__":
    sys.exit(main())
