"""`make bench-image`: a disk of 4 GB with 400 MB of files, copied from the http service to a disk.

Ours is the agent's own write path in a process of its own (`image_write`); the others copy the same
disk from the same service. The disk is a loop device with all its room allocated, in memory unless
BENCH_DISKS names a folder on a real one: a disk that is slower than all sides measures
nothing but itself. It is new for each side of a round, so nothing of it is cached; what the service
gives is, for all; and each side's time ends when everything is on the disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ironwake.artifact import Manifest
from ironwake.errors import BrokenError
from ironwake.pack import BLOCK
from ironwake_bench import golden, options, peers
from ironwake_bench.cells import Cell, Goal, report
from ironwake_bench.golden import FORMS, Golden
from ironwake_bench.ground import Ours, ours
from ironwake_bench.rounds import OURS, interleave, median
from ironwake_lab.network import enter
from ironwake_runtime.artifacts import ArtifactStore

_BENCH = "image"
_FULL = f"{OURS}, read again"
_DISKS = os.environ.get("BENCH_DISKS")
_BUILT = "2026-01-02T03:04:05Z"
# `sync FILE` is an fsync: of what a program has left in the kernel's memory.
_PEERS = {
    "curl | zstd -d": "curl -fsS {raw_zst} | zstd -dc > /dev/null",
    "dd": "curl -fsS {raw_zst} | zstd -dc | dd of={disk} bs=1M iflag=fullblock oflag=direct"
    " conv=fsync status=none",
    "bmaptool": "bmaptool -q copy --bmap {bmap} {raw_zst} {disk}; sync {disk}",
    "partclone": "curl -fsS {pcl_zst} | zstd -dc | partclone.restore -q -L {log} -s - -O {disk};"
    " sync {disk}",
}
_NULL = "curl | zstd -d"
_SPEEDS = {"bmaptool": Goal(2.0), "dd": Goal(1.0), "partclone": Goal(1.0)}


@dataclass(frozen=True)
class Bench:
    """Everything a round needs; `urls` by the name of the form."""

    here: Ours
    made: Golden
    urls: Mapping[str, str]
    disks: Path

    def enter(self) -> list[str]:
        """To be where the machine would be."""
        return enter(self.here.rack.router_namespace)


def main() -> int:
    return report(_cells(options.read("A disk image from the http service to a disk.")))


def _cells(wish: options.Options) -> Iterator[Cell]:
    for program, package in (("bmaptool", "bmap-tools"), ("partclone.restore", "partclone")):
        peers.need(program, package)
    made = golden.golden()
    held = made.held / 1e6

    def media(store: ArtifactStore) -> None:
        _publish(store, made)

    with ours(media=media) as here, _memory(here.folder / "disks") as disks:
        here.appliance.settle()
        bench = Bench(here, made, _urls(here), disks)
        yield from _written(bench, wish, held)
        yield from _updated(bench, wish)


def _written(bench: Bench, wish: options.Options, held: float) -> Iterator[Cell]:
    """Onto a disk with nothing on it."""
    rows = [
        *((name, peer, goal, False) for peer, goal in _SPEEDS.items() for name in _names(peer)),
        *((name, _NULL, Goal(1.3, more=False), True) for name in _names(_NULL)),
    ]
    rows = [row for row in rows if wish.wants(row[0])]
    if not rows:
        return
    wanted = {side for name, peer, _, _ in rows for side in (_side(name), peer)}
    sides = {name: partial(_copy, bench, name) for name in (OURS, _FULL, *_PEERS) if name in wanted}
    seen = interleave(sides, wish.rounds, "write")
    took = {side: median(figures) for side, figures in seen.items()}
    for name, peer, goal, seconds in rows:
        mine, other = took[_side(name)], took[peer]
        if seconds:
            yield Cell(_BENCH, name, mine, "s", goal, other, peer)
        else:
            yield Cell(_BENCH, name, held / mine, "MB/s", goal, held / other, peer)


def _names(peer: str) -> tuple[str, str]:
    return f"write, {peer}", f"write and read again, {peer}"


def _side(name: str) -> str:
    return _FULL if name.startswith("write and") else OURS


def _updated(bench: Bench, wish: options.Options) -> Iterator[Cell]:
    """Onto a disk that holds the version before: what moves, by what has changed."""
    names = ("update, fetched", "update, written")
    if not any(map(wish.wants, names)):
        return
    seen = interleave({OURS: partial(_update, bench)}, wish.rounds, "update")[OURS]
    for name, figures in zip(names, zip(*seen, strict=True), strict=True):
        if wish.wants(name):
            yield Cell(_BENCH, name, median(figures), "x changed", Goal(1.5, more=False))


def _copy(bench: Bench, side: str) -> float:
    """Seconds of one copy; the disk is compared afterwards."""
    with _disk(bench.disks) as disk:
        took = _run(bench, _command(bench, side, disk))
        if side != _NULL:
            _same(bench.made.folder / "disk.raw", disk, side)
    print(f"  {took:.2f} s", file=sys.stderr, flush=True)  # noqa: T201
    return took


def _update(bench: Bench) -> tuple[float, float]:
    """Bytes that came over the cable, and that the disk took, for each one that has changed."""
    with _disk(bench.disks) as disk:
        _fill(disk, bench.made.folder / "disk.raw")
        before = _received(bench)
        begin = time.monotonic()
        done = json.loads(_output([*bench.enter(), *_agent(bench, disk, "next-", "fast")]))
        took = time.monotonic() - begin
        after = _received(bench)
    changed = bench.made.changed * BLOCK
    came, went = (after - before) / changed, done["disk"] / changed
    words = f"  {took:.2f} s, fetched {came:.3f}, written {went:.3f}"
    print(words, file=sys.stderr, flush=True)  # noqa: T201
    return came, went


def _received(bench: Bench) -> int:
    """Bytes that the cable brought until now, with all headers."""
    lines = _output([*bench.enter(), "cat", "/proc/net/dev"]).splitlines()
    (line,) = (row for row in lines if row.strip().startswith("eth0:"))
    return int(line.partition(":")[2].split()[0])


def _command(bench: Bench, side: str, disk: str) -> list[str]:
    if side in (OURS, _FULL):
        return _agent(bench, disk, "", "full" if side == _FULL else "fast")
    names = {form.removeprefix("disk.").replace(".", "_"): url for form, url in bench.urls.items()}
    text = _PEERS[side].format(**names, disk=disk, log=bench.here.folder / "partclone.log")
    return ["bash", "-ec", f"set -o pipefail; {text}"]


def _agent(bench: Bench, disk: str, version: str, verify: str) -> list[str]:
    words = [sys.executable, "-m", "ironwake_bench.image_write", disk]
    for form in ("pack", "index"):
        file = bench.made.folder / f"{version}{form}"
        words += [bench.urls[file.name], str(file.stat().st_size)]
    return [*words, bench.urls[f"{version}index"].split("/")[-2], verify]


def _run(bench: Bench, words: list[str]) -> float:
    """Seconds until it has ended; BrokenError where it failed."""
    begin = time.monotonic()
    _output([*bench.enter(), *words])
    return time.monotonic() - begin


@contextlib.contextmanager
def _memory(folder: Path) -> Iterator[Path]:
    """Where disks are made: in memory, unless somebody named a folder.

    In pages of 2 MB, where there are some: of small ones, a million would have to be found and
    given back one by one, at the cost of whoever discards, as no SSD does.
    """
    if _DISKS:
        yield Path(_DISKS)
        return
    folder.mkdir()
    _output(["mount", "-t", "tmpfs", "-o", "huge=always,size=5g", "none", str(folder)])
    try:
        yield folder
    finally:
        # Lazily: whoever was interrupted may still hold the disk for a moment.
        _output(["umount", "--lazy", str(folder)])


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[str]:
    """A loop device with room for all of it, and nothing on it."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix="ironwake-bench-") as file:
        os.posix_fallocate(file.fileno(), 0, golden.SIZE)
        disk = _output(["losetup", "--find", "--show", file.name]).strip()
        try:
            yield disk
        finally:
            _output(["losetup", "--detach", disk])


def _fill(disk: str, raw: Path) -> None:
    _output(["cp", "--sparse=never", str(raw), disk])
    _output(["sync", disk])
    _output(["blockdev", "--flushbufs", disk])


def _same(raw: Path, disk: str, side: str) -> None:
    """BrokenError where the copy is none; those who leave gaps as they are have zeroes there."""
    done = subprocess.run(["cmp", raw, disk], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BrokenError(f"{side} has made another disk: {done.stdout}{done.stderr}")


def _publish(store: ArtifactStore, made: Golden) -> None:
    artifacts = {}
    for form in FORMS:
        artifacts[form] = store.add_file(made.folder / form)
    files = {form: form for form in FORMS}
    store.publish(Manifest("bench", "media", _BUILT, "f" * 64, artifacts, files, {}))


def _urls(here: Ours) -> dict[str, str]:
    found = ArtifactStore(here.folder / "artifacts").manifest("bench").artifacts
    base = f"http://{here.appliance.address}/artifacts"
    return {form: f"{base}/{item.sha256}/{form}" for form, item in found.items()}


def _output(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BrokenError(f"{words[-1]:.80} failed: {done.stderr.strip()[-1000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
