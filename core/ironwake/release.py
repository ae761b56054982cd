"""Releases: one version of an operating system is one row of data."""

from __future__ import annotations

from dataclasses import dataclass

from ironwake.artifact import manifest_name
from ironwake.errors import InputError
from ironwake.firmware import Architecture


@dataclass(frozen=True)
class Release:
    """`media` names the manifests that `ironwake media add` publishes; sizes are in bytes."""

    name: str
    title: str
    family: str
    codename: str
    architectures: tuple[Architecture, ...]
    media: str
    least_disk: int

    def medium(self, architecture: Architecture) -> str:
        """The manifest for machines of that architecture: `debian-12`, `debian-12-arm64`."""
        return manifest_name(self.media, architecture)

    def live(self, architecture: Architecture) -> str:
        """The manifest of the same as a live system: `debian-12-live`."""
        return manifest_name(f"{self.media}-live", architecture)


_GIB = 1 << 30

RELEASES: tuple[Release, ...] = (
    Release(
        "debian-12",
        "Debian 12",
        "debian",
        "bookworm",
        (Architecture.AMD64, Architecture.ARM64),
        "debian-12",
        2 * _GIB,
    ),
    # The same system with Debian's smaller kernel for virtual machines.
    Release(
        "debian-12-cloud",
        "Debian 12",
        "debian",
        "bookworm",
        (Architecture.AMD64, Architecture.ARM64),
        "debian-12-cloud",
        2 * _GIB,
    ),
    Release(
        "debian-13",
        "Debian 13",
        "debian",
        "trixie",
        (Architecture.AMD64, Architecture.ARM64),
        "debian-13",
        2 * _GIB,
    ),
)

BY_NAME: dict[str, Release] = {row.name: row for row in RELEASES}


def find(name: str) -> Release:
    """The row of that name; InputError naming those that exist."""
    try:
        return BY_NAME[name]
    except KeyError:
        known = ", ".join(BY_NAME)
        raise InputError(
            f"there is no release {name!r:.60}", f"known are: {known}", "release"
        ) from None
