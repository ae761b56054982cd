"""Whether volume groups have room for their volumes: asked before anything is written.

What is counted is at least what md, LUKS and LVM keep for themselves; they may keep a little more.
"""

from __future__ import annotations

from collections.abc import Mapping

from ironwake.errors import RefusedError
from ironwake.layout.model import Array, Group, Layout, Level, Volume
from ironwake.sizes import MIB, size_text

_LUKS_HEADER = 16 * MIB
_PHYSICAL_VOLUME = MIB
_EXTENT = 4 * MIB  # lvm's: what a volume has at least


def check(layout: Layout, partitions: Mapping[str, int]) -> None:
    """RefusedError where a group is smaller than what stands in it.

    :param partitions: their bytes, by their references (`first/system`)
    """
    room = dict(partitions)
    for reference, _, volume in layout.volumes():
        if reference in room:
            room[reference] -= _sealing(volume)
    for array in layout.arrays:
        room[array.name] = _array(array, room) - _sealing(array)
    for group in layout.groups:
        _group(group, sum(room[reference] - _PHYSICAL_VOLUME for reference in group.of))


def _array(array: Array, room: Mapping[str, int]) -> int:
    working = len(array.of) - array.spares
    return min(room[reference] for reference in array.of) * _data(array.level, working) // 2


def _data(level: Level, working: int) -> int:
    """How many of the devices have data that is nowhere else; doubled, for halves."""
    match level:
        case Level.STRIPE:
            return 2 * working
        case Level.MIRROR:
            return 2
        case Level.PARITY:
            return 2 * (working - 1)
        case Level.DOUBLE_PARITY:
            return 2 * (working - 2)
        case Level.STRIPED_MIRRORS:
            return working


def _sealing(volume: Volume) -> int:
    return _LUKS_HEADER if volume.encrypt else 0


def _group(group: Group, room: int) -> None:
    asked = sum(volume.size.of(room) or _EXTENT for volume in group.volumes)
    if asked > room:
        raise RefusedError(
            f"the volumes of {group.name} need {size_text(asked)}, and it has"
            f" {size_text(max(room, 0))}",
            "make them smaller in the layout, or match larger disks",
        )
