"""What a family's installer is started as.

Most are a Linux kernel with initial ramdisks, which the medium has under the roles below; whatever
is started otherwise says so by being a `Starter`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ironwake.boot import KernelBoot, initial
from ironwake.families.base import Family, Install
from ironwake.firmware import Architecture
from ironwake.release import Release
from ironwake.site import Shelf, Stored

KERNEL, INITRD, TREE = "installer-kernel", "installer-initrd", "tree"
KERNEL_ITSELF = "kernel"  # of a manifest that is a loader


@runtime_checkable
class Starter(Protocol):
    """What a family has besides, whose installer is started in its own way."""

    def needs(self, release: Release, architecture: Architecture) -> Mapping[str, tuple[str, ...]]:
        """Manifests, each with the roles that must be there."""

    def boot(self, install: Install, shelf: Shelf) -> KernelBoot:
        """What is started; nothing may be missing. It knows no secret but the token."""


@dataclass(frozen=True)
class Linux:
    """A kernel and its initial ramdisks."""

    family: Family

    def needs(self, release: Release, architecture: Architecture) -> Mapping[str, tuple[str, ...]]:
        return {release.medium(architecture): (KERNEL, INITRD, *self.family.roles)}

    def boot(self, install: Install, shelf: Shelf) -> KernelBoot:
        name = medium(install)
        return KernelBoot(
            title(install),
            shelf.need(name, KERNEL),
            initial(*ramdisks(name, shelf)),
            self.family.arguments(install),
        )


def of(family: Family) -> Starter:
    """How that family's installer is started."""
    return family if isinstance(family, Starter) else Linux(family)


def medium(install: Install) -> str:
    """The manifest of what is installed."""
    return install.release.medium(install.machine.architecture)


def title(install: Install) -> str:
    """What the machine's screen says."""
    return f"Ironwake: {install.machine.name} becomes {install.release.title}, by its own installer"


def ramdisks(name: str, shelf: Shelf) -> tuple[Stored, ...]:
    """All of a medium in their order: `installer-initrd`, `installer-initrd-2`, and so on.

    Of several, processor microcode comes first (Linux, Documentation/arch/x86/microcode.rst).
    """
    found = [shelf.need(name, INITRD)]
    while item := shelf.find(name, f"{INITRD}-{len(found) + 1}"):
        found.append(item)
    return tuple(found)
