"""The order: what the agent in the deploy ramdisk has to do, handed out once."""

from __future__ import annotations

from dataclasses import dataclass, field

from ironwake.mac import Mac
from ironwake.names import DomainName, HostName, KernelWord
from ironwake.profile import BootOrder, User


@dataclass(frozen=True)
class Archive:
    """A tar.zst of a root file system: `size` bytes as fetched, `unpacked` bytes on the disk."""

    url: str
    sha256: str
    size: int
    unpacked: int


@dataclass(frozen=True)
class Order:
    """What to make of this machine.

    `disk` is `auto`, a serial number or a path; `erase` names the disks whose contents may go (by
    serial number or path: nothing else may be touched unless it is blank); `least_disk` in bytes.
    `callbacks` and `health` are URLs to POST to.
    """

    deployment: str
    machine: HostName
    domain: DomainName
    mac: Mac
    archive: Archive
    disk: str
    erase: tuple[str, ...]
    least_disk: int
    callbacks: str
    health: str
    timezone: str = "Etc/UTC"
    locale: str = "C.UTF-8"
    keyboard: str = "us"
    user: User | None = None
    packages: tuple[str, ...] = ()
    kernel_arguments: tuple[KernelWord, ...] = field(default_factory=tuple)
    boot_order: BootOrder = BootOrder.KEEP
