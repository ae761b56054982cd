"""Ids of what a layout makes: chosen beforehand, so that a dry run shows them as they will be."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

_SPACE = uuid.UUID("5e1f1a5e-90c0-4d0b-9f3b-6b0a3c1b7d10")  # ours; any constant would do


@dataclass(frozen=True)
class Identity:
    """`seed` names the deployment: each has ids of its own, and always the same."""

    seed: str

    def of(self, *path: str) -> str:
        """The UUID of a disk, a partition, an array or a file system, lower case."""
        return str(uuid.uuid5(_SPACE, "/".join((self.seed, *path))))

    def fat(self, *path: str) -> str:
        """A volume serial number as FAT has it: `ABCD-1234`."""
        digits = self.of(*path, "fat")[:8].upper()
        return f"{digits[:4]}-{digits[4:]}"

    def md(self, *path: str) -> str:
        """As mdadm writes it: four words of eight digits, with colons."""
        digits = uuid.UUID(self.of(*path)).hex
        return ":".join(digits[at : at + 8] for at in range(0, 32, 8))
