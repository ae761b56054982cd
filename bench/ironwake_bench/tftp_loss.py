"""`make bench-tftp-loss`: 1 MB by TFTP over a bad network: 1 % lost each way, 1 ms there and back.

Between client and server stands a relay with a seed (bench/load/relay.c), the same for each side of
a round. The client waits 1 s for what it misses, as firmware does: what goes faster is the server's
doing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count

from ironwake_bench import load, options, tftp
from ironwake_bench.cells import Cell, Goal, report
from ironwake_bench.rounds import interleave, median

_BENCH = "tftp-loss"
_OCTETS = 1 << 20
_RELAY = ("127.0.0.1", 6900)
_DELAY, _LOSS = 500, 10  # microseconds and thousandths, each way
_LIMIT = 15  # seconds after which a read has failed, and counts as that many


def main() -> int:
    chosen = options.read("1 MB by TFTP with 1 % lost each way and a round trip of 1 ms.")
    return report(_cells(chosen))


def _cells(chosen: options.Options) -> Iterator[Cell]:
    with tftp.serving() as ours, tftp.others() as peers:
        for side in (ours, *peers.values()):
            side.check(1, 1)
        if chosen.wants("windowsize 4"):
            took = _seconds({"ours": ours}, 4, chosen.rounds)
            yield Cell(_BENCH, "windowsize 4", took["ours"], "s", Goal(2.0, more=False))
        for window, able in ((4, ("atftpd",)), (1, ("dnsmasq", "tftpd-hpa", "atftpd"))):
            name = f"windowsize {window}, peer"
            if chosen.wants(name):
                sides = {"ours": ours, **{one: peers[one] for one in able}}
                took = _seconds(sides, window, chosen.rounds)
                best = min(able, key=lambda one: took[one])
                yield Cell(_BENCH, name, took["ours"], "s", Goal(1.0, more=False), took[best], best)


def _seconds(sides: Mapping[str, tftp.Side], window: int, rounds: int) -> dict[str, float]:
    """The median of each side; every side has the same seeds."""
    asked = {
        name: partial(_read, side, window, count(1), name != "ours") for name, side in sides.items()
    }
    seen = interleave(asked, rounds, f"windowsize {window}")
    return {name: median(all_) for name, all_ in seen.items()}


def _read(side: tftp.Side, window: int, seeds: Iterator[int], may_fail: bool) -> float:
    server = (side.address, side.port)
    with load.running(
        side.rack, "relay", *_RELAY, *server, tftp.SOURCE, _DELAY, _LOSS, next(seeds)
    ):
        words = (*_RELAY, side.name(1), _OCTETS, 1, 1, window, tftp.BLOCK, _LIMIT)
        seen = load.run(side.rack, "tftp", *words)
    print(f"  {seen['seconds']:.2f} s, {seen['again']} asked again", file=sys.stderr)  # noqa: T201
    if seen["failed"] and not may_fail:
        raise tftp.lost(seen)
    return float(seen["seconds"])


if __name__ == "__main__":
    sys.exit(main())
