"""The layout of a machine for which the profile has none."""

from __future__ import annotations

from ironwake.disk import AUTO, DiskMatch
from ironwake.layout.model import (
    DiskLayout,
    Format,
    Layout,
    MountPoint,
    Partition,
    Role,
    VolumeName,
    Wipe,
)
from ironwake.sizes import Size


def usual(match: DiskMatch = AUTO) -> Layout:
    """One disk, one file system; the disk boots by UEFI and by a BIOS."""
    return Layout(
        (
            DiskLayout(
                VolumeName("disk"),
                (
                    Partition(VolumeName("ESP"), role=Role.ESP, size=Size("256MiB")),
                    Partition(VolumeName("BIOS-boot"), role=Role.BIOS_BOOT, size=Size("1MiB")),
                    Partition(VolumeName("root"), format=Format.EXT4, mount=MountPoint("/")),
                ),
                match,
                wipe=Wipe.ALWAYS,
            ),
        )
    )
