"""The installation of a disk image. Order of the steps is the safety:

look → choose → index → refuse or confirm → write → verify → adopt → make bootable.

The disk has no partition table while it is worked on: the kernel is told where the partitions are.
The table, and the boot code before the first partition, are the last bytes that are written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ironwake import partitions
from ironwake.disk import Disk, choose, confirm, guard
from ironwake.errors import BrokenError, RefusedError
from ironwake.layout.identity import Identity
from ironwake.newtable import NewTable, new_table
from ironwake.order import DiskImage, Order
from ironwake.partitions import Found as Table
from ironwake.profile import Ids, Seed, Verify
from ironwake.sizes import size_text
from ironwake_agent import bootloader, prepare, scripts
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.image import adopt, fetch, volumes, write
from ironwake_agent.image.device import Device, opened, room
from ironwake_agent.image.fetch import Ways
from ironwake_agent.image.source import Place
from ironwake_agent.image.write import Edges, Outcome
from ironwake_agent.network import Lease
from ironwake_agent.steps import Step

_MOST = 256  # partitions of a disk that the kernel shows


@dataclass(frozen=True)
class Task:
    """One image for one machine.

    :ivar step: says how far a step is, and raises where the deployment is over
    :ivar disks: gives those that the machine has now
    :ivar ear: hears of a person's script
    """

    run: Runner
    say: Callable[[str], None]
    step: Callable[[Step, float], None]
    disks: Callable[[], Sequence[Disk]]
    ear: scripts.Ear
    order: Order
    image: DiskImage
    lease: Lease
    target: Path
    uefi: bool


def deploy(task: Task, ways: Ways, before_end: Callable[[], None] = lambda: None) -> None:
    """Do it; every refusal of a disk comes before the first write.

    :param before_end: called while the new system is mounted, for the last time
    :raises IronwakeError: with what happened and the next step
    """
    order, image = task.order, task.image
    mode = "uefi" if task.uefi else "bios"
    if image.boot_modes and mode not in image.boot_modes:
        raise RefusedError(
            f"this machine was started by {mode.upper()}, and {image.name} boots by"
            f" {', '.join(image.boot_modes)} only",
            "change the boot mode in the firmware's set-up, or deploy another image",
        )
    disk = choose(task.disks(), image.match, order.least_disk)
    guard(disk, order.erase, max(order.least_disk, image.size))
    task.say(f"{order.machine} goes on disk {disk}")
    index = fetch.index(Place(image.index, image.index_size), image.index_sha256, ways)
    if index.size != image.size:
        raise BrokenError(
            f"the index is of a disk of {index.size} bytes, the order says {image.size}",
            "import the image again",
        )
    if order.scripts.pre:
        task.step(Step.PARTITIONING, 0.0)
        scripts.before(order.scripts.pre, task.ear)
    prepare.claim(disk.path)
    # Once more, as late as possible: names of disks may move while devices still appear.
    confirm(disk, task.disks())
    task.say(f"writing {size_text(image.packed)} for {size_text(index.held)} of {image.name}")
    task.step(Step.UNPACKING, 0.0)
    with opened(disk.path) as device:
        for number in range(1, _MOST + 1):
            device.remove_partition(number)
        place = Place(image.url, image.packed)
        full = image.verify is Verify.FULL
        writer = write.Write(device, index, place, ways)
        edges = writer.edges()
        made = tables(edges, device, image, order)
        outcome = writer.run(edges, verify=full)
        made = settle(device, edges, image, order) if made is None else made
        put_body(device, edges, made)
    _tell(task, outcome)
    _adopt(task, disk, made, before_end)


def tables(edges: Edges, device: Device, image: DiskImage, order: Order) -> NewTable | None:
    """The new table, where the edges have all of the old one; None for one that has more.

    :raises RefusedError: it is none that may get onto a disk: nothing is written yet
    """
    if not edges.head[510:512] == b"\x55\xaa" and image.seed is not Seed.NONE:
        raise RefusedError(
            f"{image.name} has no partition table: nobody knows what is on it",
            "use seed: none: it is then written as it is",
        )
    if not any(edges.head[unit : unit + 8] == b"EFI PART" for unit in (512, 4096)):
        return None

    def read(start: int, count: int) -> bytes:
        return overlaid(edges, bytes(count), start)

    return _new(edges, read, device, image, order)


def settle(device: Device, edges: Edges, image: DiskImage, order: Order) -> NewTable:
    """The same once the rest is on the disk: an MSDOS table's logical partitions stand there."""

    def read(start: int, count: int) -> bytes:
        begin = start // device.sector * device.sector
        end = -(-(start + count) // device.sector) * device.sector
        space = room(end - begin)
        device.read(begin, space)
        return overlaid(edges, bytes(space[start - begin : start - begin + count]), start)

    return _new(edges, read, device, image, order)


def _new(
    edges: Edges, read: partitions.Read, device: Device, image: DiskImage, order: Order
) -> NewTable:
    found: Table = partitions.find(read, edges.tail_at + len(edges.tail))
    identity = Identity(order.deployment) if image.ids is Ids.NEW else None
    return new_table(bytes(edges.head), found, device.size, identity)


def overlaid(edges: Edges, content: bytes, start: int) -> bytes:
    """What stands at `start`, with the edges over it."""
    now = bytearray(content)
    for at, kept in edges.parts():
        low, high = max(start, at), min(start + len(now), at + len(kept))
        if low < high:
            now[low - start : high - start] = kept[low - at : high - at]
    return bytes(now)


def put_body(device: Device, edges: Edges, table: NewTable) -> None:
    """What the edges have of the partitions themselves. Without the table, nothing boots."""
    if table.end:  # the image's own second copy is the end of another disk
        kept = max((part.start + part.size for part in table.old), default=0)
        cut = max(kept - edges.tail_at, 0)
        edges.tail[cut:] = bytes(len(edges.tail) - cut)
    _put(device, edges.tail_at, bytes(edges.tail))
    first = boot_end(table)
    _put(device, first, bytes(edges.head[first:]))
    device.sync()


def put_table(device: Device, table: NewTable) -> None:
    """The last bytes: the second copy, boot code, and in the end the first sector alone.

    A firmware that does not find it looks at none of the others; and no disk writes half of it.
    """
    if table.end:
        _put(device, table.end_at, table.end)
        device.sync()
    content = table.head[: boot_end(table)]
    _put(device, device.sector, content[device.sector :])
    device.sync()
    _put(device, 0, content[: device.sector])
    device.sync()
    space = room(-(-len(content) // device.sector) * device.sector)
    device.read(0, space)
    if bytes(space[: len(content)]) != content:
        raise BrokenError(
            f"disk {device.path} gives back another partition table than was written",
            "replace the disk",
        )


def boot_end(table: NewTable) -> int:
    """Where the first partition begins: before it stand the table and boot code. In bytes."""
    return min((part.start for part in table.parts), default=len(table.head))


def _put(device: Device, offset: int, content: bytes) -> None:
    if not content:
        return
    space = room(-(-len(content) // device.sector) * device.sector)
    space[: len(content)] = content
    device.write(offset, space)


def _tell(task: Task, outcome: Outcome) -> None:
    task.say(f"fetched {size_text(outcome.fetched)}, wrote {size_text(outcome.written)}")


def _adopt(task: Task, disk: Disk, table: NewTable, before_end: Callable[[], None]) -> None:
    image = task.image
    task.step(Step.CONFIGURING, 0.0)
    task.say("configuring")
    hand = adopt.Hand(task.run, task.say, task.target, task.uefi)
    _show(disk, table)
    found = adopt.Found(volumes.look(task.run, disk.path, table.parts))
    esp = adopt.esp_of(disk.path, found.volumes) if task.uefi else None
    try:
        adopt.adopt(hand, task.order, image, table, found)
        if task.target.is_mount():  # else nobody can look into it, and nothing was stated
            adopt.finish(hand, task.order, image.seed, task.lease, task.ear)
        before_end()
    except BaseException:  # whatever it was: let go of the disk, and raise it again
        with suppress(CommandError):  # the first failure is the one to tell
            prepare.unmount(task.run, task.target, task.say)
        raise
    prepare.unmount(task.run, task.target, task.say)
    path = adopt.loader(task.run, found.volumes, esp) if esp else ""
    volumes.let_go(task.run, found.volumes)
    task.step(Step.BOOT_LOADER, 0.0)
    task.say("boot loader")
    with opened(disk.path) as device:
        put_table(device, table)
    if esp and path:
        gone = frozenset(part.uuid for part in disk.parts if part.uuid)
        now = frozenset(part.uuid for part in table.parts)
        entry = bootloader.Entry(esp, path, gone - now)
        bootloader.register(task.run, entry, task.order.boot_order, task.say)


def _show(disk: Disk, table: NewTable) -> None:
    """Tell the kernel of the partitions, though no table on the disk says so."""
    with opened(disk.path, alone=False) as device:
        for part in table.parts:
            device.remove_partition(part.number)
            device.add_partition(part.number, part.start, part.size)
