"""`bench-controller`: machines' reports, each committed before it is answered, and long listings.

Reports come as machines send them, by the http service (`installer`: the fields in the query), and
directly to the controller; SQLite with a write-ahead log and `synchronous=FULL`, as shipped.
"""

from __future__ import annotations

import sys
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironwake_bench import fleet, load, options, requests
from ironwake_bench.cells import Cell, Goal, report
from ironwake_bench.fleet import Armed
from ironwake_bench.ground import Ours, ours
from ironwake_bench.options import Options
from ironwake_bench.rounds import median

_MACHINES = 5000
_INSTALLING = 250
_CLIENTS = 32
_SECONDS = 4
_OFFERED = 200  # reports per second
_RATE = Goal(500.0)
_LATE = Goal(100.0, more=False)
_LISTING = Goal(200.0, more=False)


@dataclass
class Reports:
    """The installing machines' reports: each a new one, as an installer's steps are."""

    here: Ours
    armed: list[Armed]
    sent: int = 0

    def by_machines(self, count: int) -> Path:
        """To the http service, from wherever machines are."""
        host = self.here.appliance.address

        def one(armed: Armed, fields: dict[str, Any]) -> bytes:
            query = urllib.parse.urlencode({**fields, "percent": fields["percent"]})
            return requests.post(f"/deployments/{armed.token}/callbacks?{query}", host)

        return self._write(count, one)

    def directly(self, count: int) -> Path:
        """To the controller's internal API."""
        more = {"Authorization": f"Bearer {fleet.service_token(self.here)}"}

        def one(armed: Armed, fields: dict[str, Any]) -> bytes:
            target = f"/internal/deployments/{armed.token}/callbacks"
            return requests.post(target, fleet.API_HOST, fields, more)

        return self._write(count, one)

    def _write(self, count: int, one: Callable[[Armed, dict[str, Any]], bytes]) -> Path:
        made = []
        for _ in range(count):
            number, self.sent = self.sent, self.sent + 1
            fields = {
                "stage": "installing",
                "id": f"bench-{number}",
                "step": "unpacking",
                "percent": float(number // len(self.armed) % 100),
                "message": f"file {number}",
            }
            made.append(one(self.armed[number % len(self.armed)], fields))
        return requests.write(self.here.folder / "reports", made)


def _installing(here: Ours) -> Reports:
    """Machines that have taken their orders and said so."""
    fleet.enrol(here, _INSTALLING)
    armed = fleet.arm(here, range(_INSTALLING))
    fleet.give_cards(here, _INSTALLING)
    fleet.claim(here, armed, "order")
    host = here.appliance.address
    reports = Reports(here, armed)
    first = load.run(here.rack, "http", host, 80, reports.by_machines(_INSTALLING), 8, 600)
    if first["fine"] != _INSTALLING:
        raise SystemExit(f"bench-controller: not all began to install: {first}")
    return reports


def _cells(wish: Options) -> Iterator[Cell]:
    with ours(profiles=fleet.PROFILES, media=fleet.add_media) as here:
        if any(map(wish.wants, _REPORTS)):
            reports = _installing(here)
            for name, measure in _REPORTS.items():
                if wish.wants(name):
                    yield measure(name, reports, wish.rounds)
        wanted = [(name, query) for name, query in _LISTINGS.items() if wish.wants(name)]
        if wanted:
            have = len(fleet.view(here)["entries"])
            fleet.enrol(here, _MACHINES - have, first=have)
            here.appliance.settle()
        for name, query in wanted:
            yield _list(here, name, query, wish.rounds)


def _full(name: str, reports: Reports, rounds: int) -> Cell:
    """As many as it takes."""
    rates = []
    for number in range(rounds):
        _progress(name, number, rounds)
        rates.append(_send(reports, name, 3000 * _SECONDS)["rate"])
    return Cell("controller", name, median(rates), "reports/s", _RATE)


def _offered(name: str, reports: Reports, rounds: int) -> Cell:
    """How late the slowest hundredth is while they come evenly."""
    late = []
    for number in range(rounds):
        _progress(name, number, rounds)
        count = _OFFERED * _SECONDS
        late.append(_send(reports, name, count, f"rate={_OFFERED}")["p99_us"] / 1000)
    return Cell("controller", name, median(late), "ms", _LATE)


def _send(reports: Reports, name: str, count: int, *more: str) -> dict[str, Any]:
    here = reports.here
    direct = name.endswith("directly")
    if direct:
        where: tuple[str, ...] = tuple(fleet.API_HOST.split(":"))
        file = reports.directly(count)
    else:
        where, file = (here.appliance.address, "80"), reports.by_machines(count)
    done = load.run(here.rack, "http", *where, file, _CLIENTS, _SECONDS, *more, beside=direct)
    unsent = more and done["started"] != count  # then the latest are not among the times
    if done["fine"] != done["replies"] or unsent or not requests.all_taken(done):
        raise SystemExit(f"bench-controller: not all were taken: {done}")
    done["rate"] = done["fine"] / done["seconds"]
    return done


def _list(here: Ours, name: str, query: str, rounds: int) -> Cell:
    """The median time of a page; the slowest round counts as one."""
    admin = {"Authorization": f"Bearer {here.appliance.token}"}
    made = [requests.get(f"/v1/machines?{query}", fleet.API_HOST, admin)] * 5
    file = requests.write(here.folder / "listings", made)
    took = []
    for number in range(rounds):
        _progress(name, number, rounds)
        words = (*fleet.API_HOST.split(":"), file, 1, 60)
        done = load.run(here.rack, "http", *words, beside=True)
        if done["fine"] != len(made):
            raise SystemExit(f"bench-controller: no listing: {done}")
        took.append(done["p50_us"] / 1000)
    return Cell("controller", name, median(took), "ms", _LISTING)


def _progress(name: str, number: int, rounds: int) -> None:
    print(f"{name} {number + 1}/{rounds}", file=sys.stderr, flush=True)  # noqa: T201


_REPORTS: dict[str, Callable[[str, Reports, int], Cell]] = {
    "reports": _full,
    "reports directly": _full,
    "p99 at 200/s": _offered,
    "p99 at 200/s directly": _offered,
}
_LISTINGS = {
    "first page of 200": "limit=200",
    "page of 1000": "limit=1000",
    "page in the middle": f"limit=200&after={fleet.name_of(_MACHINES // 2)}",
    "by label": "label=rack%3Dr7&limit=200",
    "by state": "state=installing&limit=200",
    "by part of the name": "name=e0432&limit=200",
}


def main() -> int:
    about = "Durable reports of machines, and listings of 5,000."
    return report(_cells(options.read(about)))


if __name__ == "__main__":
    sys.exit(main())
