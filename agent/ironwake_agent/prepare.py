"""Partitions, file systems and mounts of the chosen disk. The first module that writes."""

from __future__ import annotations

import json
import os
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ironwake.errors import BrokenError, RefusedError
from ironwake_agent import layout
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.disks import Disk
from ironwake_agent.patience import Patience

_MIB = 1 << 20


@dataclass(frozen=True)
class Volumes:
    """The new system's file systems.

    `root` and `esp` are devices, `root_uuid` as ext4 has it, `esp_uuid` as FAT has it (`ABCD-1234`,
    its volume serial number); `esp` is "" on a BIOS machine.
    """

    disk: str
    root: str
    root_uuid: str
    esp: str = ""
    esp_uuid: str = ""
    esp_number: int = 0


def claim(path: str) -> None:
    """Refuse a disk that somebody uses: mounted, or part of something assembled."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL))
    except OSError as error:
        raise RefusedError(
            f"disk {path} cannot be had for ourselves: {error.strerror}",
            "nothing else may use it: reset the machine and deploy again",
        ) from None


def old_partition_ids(run: Runner, disk: Disk) -> frozenset[str]:
    """The GPT ids, lower case, of partitions that are about to go: boot entries point at them."""
    try:
        table = json.loads(run("sfdisk", "--json", disk.path))["partitiontable"]
    except (CommandError, ValueError, KeyError):
        return frozenset()
    return frozenset(str(row.get("uuid", "")).lower() for row in table.get("partitions", ()))


def wipe(run: Runner, disk: Disk, parts: tuple[str, ...]) -> None:
    """Take away every signature, and the first MiB: an old boot loader's code stands there."""
    devices = [f"/dev/{part}" for part in parts]
    run("wipefs", "--all", "--quiet", "--force", *devices, disk.path)
    with Path(disk.path).open("r+b", buffering=0) as stream:
        stream.write(bytes(_MIB))
        os.fsync(stream.fileno())


def divide(run: Runner, disk: Disk, uefi: bool, patience: Patience) -> Volumes:
    """Write the partition table, and wait for the kernel to show the partitions."""
    plan = layout.layout(uefi, os.uname().machine)
    run("sfdisk", "--wipe=always", "--wipe-partitions=always", "--quiet", disk.path,
        stdin=plan.script)  # fmt: skip
    root = layout.partition(disk.path, plan.root)
    esp = layout.partition(disk.path, plan.esp) if plan.esp else ""
    waiting = patience.start()
    while not all(Path(device).exists() for device in (root, esp) if device):
        if not waiting.again():
            raise BrokenError(
                f"the kernel does not show the new partitions of {disk.path}",
                "something still uses the old ones: reset the machine and deploy again",
            )
    return Volumes(disk.path, root, str(uuid.uuid4()), esp, _fat_id() if esp else "", plan.esp or 0)


def make_file_systems(run: Runner, volumes: Volumes) -> None:
    if volumes.esp:
        number = volumes.esp_uuid.replace("-", "")
        run("mkfs.vfat", "-F", "32", "-n", "ESP", "-i", number, volumes.esp)
    # Lazy: the kernel zeroes inode tables later, in the background. No discard: thin volumes take
    # minutes for it, and the installed system trims weekly.
    run("mkfs.ext4", "-F", "-q", "-L", "root", "-U", volumes.root_uuid, "-O", layout.EXT4_FEATURES,
        "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", volumes.root)  # fmt: skip


def mount_root(run: Runner, volumes: Volumes, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", "ext4", "-o", "noatime", volumes.root, str(target))


def mount_rest(run: Runner, volumes: Volumes, target: Path) -> None:
    """What the boot loader's tools need: the ESP, and the kernel's views."""
    if volumes.esp:
        (target / "boot/efi").mkdir(parents=True, exist_ok=True)
        run("mount", "-t", "vfat", "-o", "umask=0077", volumes.esp, str(target / "boot/efi"))
    for name in ("dev", "proc", "sys"):
        (target / name).mkdir(exist_ok=True)
        run("mount", "--bind", f"/{name}", str(target / name))


def unmount(run: Runner, target: Path, say: Callable[[str], None]) -> None:
    """Bring everything to the disk; BrokenError where that fails."""
    run("sync")
    for name in ("sys", "proc", "dev", "boot/efi", ""):
        place = target / name
        if os.path.ismount(place):
            try:
                run("umount", str(place))
            except CommandError as error:
                say(str(error))
                run("umount", "-l", str(place))
    run("sync")


def _fat_id() -> str:
    digits = secrets.token_hex(4).upper()
    return f"{digits[:4]}-{digits[4:]}"
