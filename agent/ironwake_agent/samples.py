"""Samples of a disk, by which one sees whether what stood there is gone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SECTOR = 512
_LENGTH = 64 * 1024  # bytes of each
_COUNT = 256


@dataclass(frozen=True)
class Samples:
    """`count` of them, evenly over `size` bytes; the first and the last are at the very ends."""

    path: Path
    size: int
    count: int = _COUNT

    @property
    def places(self) -> Sequence[int]:
        """Where each begins, in bytes."""
        last = max(0, self.size - _LENGTH) // _SECTOR * _SECTOR
        steps = max(1, self.count - 1)
        return sorted({last * step // steps // _SECTOR * _SECTOR for step in range(steps + 1)})

    def read(self) -> dict[int, bytes]:
        """What stands there now, by place."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return {place: os.pread(descriptor, _LENGTH, place) for place in self.places}
        finally:
            os.close(descriptor)

    def left(self, before: dict[int, bytes]) -> tuple[int, ...]:
        """Where a sector still has what it had, in bytes; of one byte alone, it has nothing."""
        now = self.read()
        return tuple(
            place + at
            for place, old in before.items()
            for at in range(0, len(old), _SECTOR)
            if has_content(old[at : at + _SECTOR])
            and old[at : at + _SECTOR] == now[place][at : at + _SECTOR]
        )


def has_content(data: bytes) -> bool:
    """Whether it is more than one byte over and over."""
    return data.count(data[:1]) != len(data)
