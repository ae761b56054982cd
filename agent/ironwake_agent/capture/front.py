"""The order to capture: look → choose → make read-only → read → send → say what it was.

Nothing on the machine is written: devices are opened for reading, and the kernel is told to refuse
every write to them, a journal's replay included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from ironwake.captured import Captured
from ironwake.disk import Disk, choose
from ironwake.layout.work import partition
from ironwake.order import Capture
from ironwake.sizes import size_text
from ironwake_agent import prepare, probe
from ironwake_agent.capture import disk as disks
from ironwake_agent.capture import root as roots
from ironwake_agent.capture import upload
from ironwake_agent.capture.upload import Upload
from ironwake_agent.image import volumes
from ironwake_agent.image.volumes import Volume
from ironwake_agent.install import Hands
from ironwake_agent.patience import Patience

TARGET = Path("/mnt/system")
_PATIENCE = 300.0  # seconds in which the appliance takes nothing at all
_BEAT = 0.5  # percent between two reports: a history of some hundred lines is long enough


def capture(hands: Hands, task: Capture) -> str:
    """Read what the order names, and send it; what was done, in words.

    :raises RefusedError: there is no such thing, or it cannot be read without being written
    :raises BrokenError: a disk cannot be read, or nobody takes what is sent
    """
    found = probe.disks(hands.run)
    if task.root:
        return _root(hands, task, found)
    disk = choose(found, task.disk, 0)
    prepare.claim(disk.path)
    _protect(hands, _devices(disk))
    return one(hands, task, disk)


def one(hands: Hands, task: Capture, disk: Disk) -> str:
    """The whole of one disk."""
    hands.say(f"reading disk {disk}")
    tell = _teller(hands, f"reading {disk.path}")
    with disks.opened(disk.path) as file:
        free = disks.unused(file, disk)
        sink = _upload(hands, task, "pack")
        read = disks.pack(
            file, disk.size, free, sink, lambda done: tell(done / disk.size, size_text(done))
        )
    pack, index = sink.end(), _upload(hands, task, "index")
    index.write(read.index.encode())
    parts = {"pack": pack, "index": index.end()}
    upload.finish(task.url, Captured(parts, read.sha256), Patience(_PATIENCE))
    skipped = sum(length for _, length in free)
    return (
        f"{disk}: {size_text(read.index.held)} of it sent as {size_text(pack.size)},"
        f" {size_text(skipped)} are free by its file systems"
    )


def _root(hands: Hands, task: Capture, found: tuple[Disk, ...]) -> str:
    for disk in found:
        prepare.claim(disk.path)
    seen = volumes.look_all(hands.run, found)
    try:
        # After LVM, which opens what its volumes stand on for writing, and writes nothing; arrays
        # are read-only from their start.
        of_disks = [path for disk in found for path in _devices(disk)]
        _protect(hands, dict.fromkeys((*of_disks, *(one.device for one in seen))))
        return _read(hands, task, seen)
    finally:
        volumes.let_go(hands.run, seen)


def _read(hands: Hands, task: Capture, seen: Sequence[Volume]) -> str:
    root = roots.choose(partial(roots.look_into, hands.run), seen, task.root)
    device = root.volume.device
    hands.say(f"reading the root on {device}")
    tell = _teller(hands, f"reading {device}")
    sink = _upload(hands, task, "archive")
    with roots.mounted(hands.run, root, seen, TARGET):
        roots.pack(TARGET, sink, lambda part: tell(part, ""))
    archive = sink.end()
    upload.finish(task.url, Captured({"archive": archive}), Patience(_PATIENCE))
    return f"the root on {device}: sent as {size_text(archive.size)}"


def _devices(disk: Disk) -> list[str]:
    parts = [partition(disk.path, part.number) for part in disk.parts]
    return [disk.path, *(part for part in parts if Path(part).exists())]


def _protect(hands: Hands, devices: Iterable[str]) -> None:
    for device in devices:
        hands.run("blockdev", "--setro", device)


def _upload(hands: Hands, task: Capture, part: str) -> Upload:
    return Upload(f"{task.url}/{part}", Patience(_PATIENCE), hands.say, hands.reporter.check)


def _teller(hands: Hands, step: str) -> Callable[[float, str], None]:
    told = [-1.0]

    def tell(fraction: float, message: str) -> None:
        hands.reporter.check()
        percent = 100 * fraction
        if percent - told[0] >= _BEAT:
            told[0] = percent
            hands.reporter.work(step, percent, message)

    tell(0.0, "")
    return tell
