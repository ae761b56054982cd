"""Empties disks: those that are named, all of them checked before the first is touched.

The best way that a disk has comes first: NVMe's own sanitizing or formatting (`nvme`), which
reach what the disk has put aside; then discard, which leaves a disk of flash as new; then
zeroes over all of it. None is believed: samples all over the disk are read before and after, and
where anything of before is still there, zeroes are written over it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ironwake.disk import Disk, confirm, guard, named
from ironwake.errors import BrokenError
from ironwake.order import Wipe
from ironwake.sizes import size_text
from ironwake_agent import nvme, prepare, probe
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.install import Hands
from ironwake_agent.samples import Samples, has_content
from ironwake_agent.sysfs import text

_STRETCH = 1 << 30  # bytes that are overwritten between two reports
_STRETCH_PATIENCE = 3600.0  # seconds for that many: the slowest disk that is not broken
_EDGE = 1 << 20  # bytes at each end that are zeroed in any case: there stand partition tables


@dataclass(frozen=True)
class _Way:
    """`do` gives words for what it has done, or "" where the disk cannot do that.

    `on_its_word`: whether it counts where no sample had anything that could be gone. A discard is
    only a hint, which a disk may pass over.
    """

    name: str
    do: Callable[[], str]
    on_its_word: bool = True


# Tells how much of a disk is done, 0.0 to 1.0; may raise to stop.
Told = Callable[[str, float], None]


def wipe(hands: Hands, task: Wipe) -> str:
    """Empty the disks that it names; what was done, in words.

    :raises RefusedError: before the first write, for any of them
    :raises BrokenError: a disk still has what it had
    """
    found = probe.disks(hands.run)
    chosen = named(found, task.disks)
    for disk in chosen:
        guard(disk, disk.names, 0)
        prepare.claim(disk.path)
    done = []
    for number, disk in enumerate(chosen):
        hands.say(f"wiping disk {disk}")
        # As late as possible: names of disks may move while devices still appear.
        confirm(disk, probe.disks(hands.run))
        tell = _teller(hands, disk, number, len(chosen))
        tell("reading samples", 0.0)
        done.append(f"{disk}: {one(hands, disk, found, tell)}")
    return "; ".join(done)


def _teller(hands: Hands, disk: Disk, number: int, count: int) -> Told:
    def tell(how: str, fraction: float) -> None:
        hands.reporter.check()
        hands.reporter.work(f"wiping {disk.path}", 100 * (number + fraction) / count, how)

    return tell


def one(hands: Hands, disk: Disk, found: tuple[Disk, ...], tell: Told) -> str:
    """Empty this disk by the first of its ways after which nothing of before is seen."""
    run = hands.run
    samples = Samples(Path(disk.path), disk.size)
    before = samples.read()
    ways = (
        _Way("NVMe's own erasing", lambda: nvme.erase(run, disk, found, tell)),
        _Way("discard", lambda: discard(run, disk, tell), on_its_word=False),
        _Way("overwriting", lambda: overwrite(run, disk, tell)),
    )
    for way in ways:
        done, trouble = _tried(way)
        if done:
            empty_edges(run, disk)
            left = samples.left(before)
            if not left and (way.on_its_word or any(map(has_content, before.values()))):
                return f"{done}; looked at {len(before)} places"
            trouble = f"still had what was there, at {left[0]}" if left else "cannot be judged"
        if trouble:
            hands.say(f"{disk.path}: {way.name} {trouble}")
            hands.reporter.log(f"{disk.path}: {way.name} {trouble}")
    raise BrokenError(
        f"disk {disk} still has what it had", "destroy it, or erase it by its vendor's own tools"
    )


def _tried(way: _Way) -> tuple[str, str]:
    """What it has done, and what was wrong."""
    try:
        return way.do(), ""
    except CommandError as error:
        return "", f"failed: {error.what}"


def empty_edges(run: Runner, disk: Disk) -> None:
    """Noise, too, shall not look like a partition table; what is read then comes from the disk."""
    edge = min(_EDGE, disk.size)
    zero(run, disk, 0, edge)
    zero(run, disk, disk.size - edge, edge)
    run("blockdev", "--flushbufs", disk.path)


def discard(run: Runner, disk: Disk, tell: Told) -> str:
    """Tell the disk that nothing on it is needed: it may forget it."""
    name = disk.path.removeprefix("/dev/").replace("/", "!")
    if int(text(Path("/sys/block") / name / "queue/discard_max_bytes") or "0") == 0:
        return ""
    tell("discarding", 0.1)
    run("blkdiscard", "--force", disk.path, timeout=_STRETCH_PATIENCE)
    return "discarded"


def overwrite(run: Runner, disk: Disk, tell: Told) -> str:
    """Zeroes, or what the disk itself does to read as zeroes from then on."""
    for start in range(0, disk.size, _STRETCH):
        tell(f"zeroes, {size_text(start)} of {size_text(disk.size)}", start / disk.size)
        zero(run, disk, start, min(_STRETCH, disk.size - start))
    return "overwritten with zeroes"


def zero(run: Runner, disk: Disk, start: int, length: int) -> None:
    """A stretch, in bytes (BLKZEROOUT: the kernel writes where the disk has no better way)."""
    words = (f"--offset={start}", f"--length={length}")
    run("blkdiscard", "--force", "--zeroout", *words, disk.path, timeout=_STRETCH_PATIENCE)
