"""Whether a bundle has room: where it is staged, and everywhere that it goes.

What goes to another mount is copied, for a hard link ends there (link(2), EXDEV), even between two
mounts of one file system, as volumes of containers are: its bytes are there twice, until the
staged ones go.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ironwake.errors import RefusedError
from ironwake.sizes import size_text

_LEFT = 64 << 20  # bytes that shall be left on each disk
_MOUNT = re.compile(r"^mnt_id:\s*(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Disk:
    """What a folder stands on: the file system's number, the mount's, and bytes that are free."""

    device: int
    mount: int
    free: int


Disks = Callable[[Path], Disk]


def disk(path: Path) -> Disk:
    """Of a path, or of what there is of it."""
    while True:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            break
        except (FileNotFoundError, NotADirectoryError):
            path = path.parent
    try:
        about = os.fstatvfs(descriptor)
        told = _MOUNT.search(Path(f"/proc/self/fdinfo/{descriptor}").read_text("ascii"))
        mount = int(told[1]) if told else -1
        return Disk(os.fstat(descriptor).st_dev, mount, about.f_bavail * about.f_frsize)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Target:
    """A folder that gets files.

    :ivar new: bytes of those that are not there yet
    :ivar again: of the largest of those that are, and are written anew beside it
    :ivar shared: linked to what is staged, where that can be
    """

    folder: Path
    new: int
    again: int = 0
    shared: bool = True


@dataclass
class _Need:
    free: int
    size: int = 0
    folders: list[Path] = field(default_factory=list)


def check(stage: Path, missing: int, targets: Iterable[Target], disks: Disks = disk) -> None:
    """Before the first byte is written.

    :param missing: bytes that are still to be staged
    :raises RefusedError: a disk has too little room
    """
    own = disks(stage)
    needs = {own.device: _Need(own.free, missing, [stage])}
    for target in targets:
        there = disks(target.folder)
        if target.shared and there.mount == own.mount:
            continue
        need = needs.setdefault(there.device, _Need(there.free))
        need.size += target.new + target.again
        if target.new or target.again:
            need.folders.append(target.folder)
    for need in needs.values():
        if need.size and need.size + _LEFT > need.free:
            step = ", or set IRONWAKE_CACHE_DIR to another disk" if stage in need.folders else ""
            raise RefusedError(
                f"the bundle needs {size_text(need.size)} in "
                f"{' and '.join(map(str, need.folders))}, where {size_text(need.free)} are free",
                f"make room there{step}",
            )
