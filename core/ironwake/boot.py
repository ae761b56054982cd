"""What a kernel is started with: the part of a boot plan that every loader writes its own way."""

from __future__ import annotations

from dataclasses import dataclass

from ironwake.site import Stored


@dataclass(frozen=True)
class KernelBoot:
    """A kernel, its initial ramdisk and its arguments; `title` is what the screen shows."""

    title: str
    kernel: Stored
    initrd: Stored
    arguments: tuple[str, ...]
