"""Where on its disk each partition stands.

All starts and ends are whole MiB: every drive's own blocks, and RAID stripes, divide that. Kept
partitions stay where they are; what stands between two of them in the layout shares the room
between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ironwake.disk import Disk, Part
from ironwake.errors import RefusedError
from ironwake.layout.model import DiskLayout, Partition, Table
from ironwake.sizes import MIB, Size, size_text

_FIRST = MIB  # room for the table, and on MSDOS disks for GRUB
_LAST = MIB  # room for GPT's second copy: 33 sectors of 512 or 4,096 bytes
_PRIMARY = 4  # an MSDOS table's; with more, the fourth holds the others
_MOST_MSDOS = 2 << 40  # bytes that an MSDOS table can speak of, with sectors of 512 bytes


@dataclass(frozen=True)
class Extent:
    """`number` as in `/dev/sda2`; `start` and `size` in bytes; `kept` is the one that stays."""

    number: int
    start: int
    size: int
    partition: Partition
    kept: Part | None = None

    @property
    def end(self) -> int:
        return self.start + self.size


def extents(wanted: DiskLayout, disk: Disk) -> tuple[Extent, ...]:
    """Each partition's place on `disk`; RefusedError where they do not fit, or one that is to be
    kept is not there."""
    parts = wanted.partitions
    numbers = _numbers(wanted)
    kept = {
        number: _find(disk, part) for number, part in zip(numbers, parts, strict=True) if part.keep
    }
    end = disk.size // MIB * MIB - _LAST
    if wanted.table is Table.MSDOS:
        end = min(end, _MOST_MSDOS * disk.sector // 512)
    found: list[Extent] = []
    run: list[tuple[int, Partition]] = []
    start = _FIRST
    for number, part in zip(numbers, parts, strict=True):
        stays = kept.get(number)
        if stays is None:
            run.append((number, part))
            continue
        if found and stays.start < found[-1].end:
            raise RefusedError(
                f"the kept partitions of disk {disk} are in another order than in the layout",
                "name them in the order in which they stand on the disk",
            )
        found += _between(run, start, stays.start, disk, wanted)
        found.append(Extent(number, stays.start, stays.size, part, stays))
        run, start = [], -(-found[-1].end // MIB) * MIB
    found += _between(run, start, end, disk, wanted)
    return tuple(found)


def is_logical(wanted: DiskLayout, number: int) -> bool:
    """Whether that partition of an MSDOS disk stands within the extended one."""
    return wanted.table is Table.MSDOS and number > _PRIMARY


def _numbers(wanted: DiskLayout) -> list[int]:
    count = len(wanted.partitions)
    if wanted.table is Table.GPT or count <= _PRIMARY:
        return list(range(1, count + 1))
    # Three primary ones, the fourth holds the others, which count from five.
    return [*range(1, _PRIMARY), *range(_PRIMARY + 1, count + 2)]


def _find(disk: Disk, part: Partition) -> Part:
    """The partition that is to be kept, as it is there."""
    named = [there for there in disk.parts if there.name == part.name]
    if len(named) == 1:
        return named[0]
    raise RefusedError(
        f"{part.name} is to be kept, and disk {disk} has no such partition:"
        f" {', '.join(p.name or str(p.number) for p in disk.parts) or 'it has none'}",
        "correct the layout, or leave out keep where nothing has to survive",
    )


def _between(
    run: Sequence[tuple[int, Partition]], start: int, end: int, disk: Disk, wanted: DiskLayout
) -> list[Extent]:
    """Share the room from `start` to `end`."""
    if not run:
        return []
    sizes = _shares(run, start, end, disk, wanted)
    found = []
    for (number, part), size in zip(run, sizes, strict=True):
        if is_logical(wanted, number):
            start += MIB  # each logical one has a table of its own before it
        found.append(Extent(number, start, size, part))
        start += size
    return found


def _shares(
    run: Sequence[tuple[int, Partition]], start: int, end: int, disk: Disk, wanted: DiskLayout
) -> list[int]:
    lost = sum(MIB for number, _ in run if is_logical(wanted, number))
    room = (end // MIB * MIB) - start - lost
    whole = disk.size - _FIRST - _LAST
    asked = [_whole_mib(part.size, whole) for _, part in run]
    left = room - sum(size or 0 for size in asked)
    growers = asked.count(None)
    share = left // growers // MIB * MIB if growers else 0
    if left < 0 or (growers and share < MIB):
        names = ", ".join(part.name for _, part in run)
        needed = room - left + growers * MIB
        raise RefusedError(
            f"{names} need {size_text(needed)} of disk {disk}, which has {size_text(max(room, 0))}"
            " for them",
            "make them smaller in the layout, or match a larger disk",
        )
    extra = left - share * growers  # the first of them has what does not divide
    sizes = []
    for size in asked:
        sizes.append(share + extra if size is None else size)
        extra = 0 if size is None else extra
    return sizes


def _whole_mib(size: Size, whole: int) -> int | None:
    """What is asked for, upwards; a part of the disk downwards, so that 100% is not too much."""
    asked = size.of(whole)
    if asked is None:
        return None
    count = asked // MIB if size.percent is not None else -(-asked // MIB)
    return max(count, 1) * MIB
