"""The order: what the agent in the deploy ramdisk has to do, handed out once."""

from __future__ import annotations

from dataclasses import dataclass, field

from ironwake.disk import DiskMatch
from ironwake.errors import InputError
from ironwake.layout.model import Layout
from ironwake.mac import Mac
from ironwake.names import DomainName, HostName, KernelWord
from ironwake.packagecache import Source
from ironwake.parameters import User
from ironwake.parameters.model import Repository, RootPolicy, Scripts, Security
from ironwake.parameters.network import Network
from ironwake.profile import BootOrder, Finish, Ids, Seed, Verify


@dataclass(frozen=True)
class Archive:
    """A tar.zst of a root file system: `size` bytes as fetched, `unpacked` bytes on the disk."""

    url: str
    sha256: str
    size: int
    unpacked: int


@dataclass(frozen=True)
class DiskImage:
    """A whole disk in a pack (`ironwake.pack`), and what becomes of it here.

    `url` and `packed`: of the pack, and its size in bytes; `index`, `index_sha256`, `index_size`:
    of its index. `size`: of the disk that was packed, in bytes. `match`: which disk it goes on.
    `boot_modes`: `bios`, `uefi`; none where nobody knows.
    """

    name: str
    url: str
    packed: int
    index: str
    index_sha256: str
    index_size: int
    size: int
    match: DiskMatch
    ids: Ids = Ids.KEEP
    seed: Seed = Seed.FILES
    verify: Verify = Verify.FULL
    boot_modes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wipe:
    """Empty these disks, each by its serial number or a path, and no others."""

    disks: tuple[str, ...]


@dataclass(frozen=True)
class Rescue:
    """Write nothing: let whoever has one of these keys in, by SSH as root."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class Capture:
    """Write nothing: read a disk, or a root file system, and send it to `url`.

    `disk` and `root` as of `ironwake.profile.Capture`: `root` is "" for a disk. `url` has no slash
    at its end; what is put below it, `ironwake.captured` says.
    """

    url: str
    disk: DiskMatch
    root: str = ""


@dataclass(frozen=True)
class Order:
    """What to do with this machine: one of `archive`, `image`, `wipe`, `rescue`, `capture` is set.

    `erase` names the disks whose contents may go (by serial number or path: nothing else may be
    touched unless it is blank); `least_disk` in bytes. `callbacks` and `health` are URLs to POST
    to. `keys`: the passphrases of encrypted volumes, by the names of their mappings.
    `layout_packages`: a repository of the packages that the layout needs, where the archive is one
    without them. `mirrors`: those that the package cache, at `cache`, stands before. `root`: None
    where nobody stated who may be root. `mirror` is "" where none was stated, too.
    """

    deployment: str
    machine: HostName
    domain: DomainName
    mac: Mac
    layout: Layout
    erase: tuple[str, ...]
    least_disk: int
    callbacks: str
    health: str
    archive: Archive | None = None
    image: DiskImage | None = None
    wipe: Wipe | None = None
    rescue: Rescue | None = None
    capture: Capture | None = None
    timezone: str = "Etc/UTC"
    locale: str = "C.UTF-8"
    keyboard: str = "us"
    users: tuple[User, ...] = ()
    packages: tuple[str, ...] = ()
    kernel_arguments: tuple[KernelWord, ...] = field(default_factory=tuple)
    boot_order: BootOrder = BootOrder.KEEP
    keys: dict[str, str] = field(default_factory=dict)
    finish: Finish = Finish.REBOOT
    layout_packages: Archive | None = None
    mirrors: tuple[Source, ...] = ()
    cache: str = ""
    ntp: tuple[str, ...] = ()
    root: RootPolicy | None = None
    root_keys: tuple[str, ...] = ()
    root_password_hash: str = ""
    network: Network = field(default_factory=Network)
    repositories: tuple[Repository, ...] = ()
    proxy: str = ""
    mirror: str = ""
    scripts: Scripts = field(default_factory=Scripts)
    security: Security = Security.DEFAULT
    package_groups: tuple[str, ...] = ()
    firmware: bool = False

    def __post_init__(self) -> None:
        ways = (self.archive, self.image, self.wipe, self.rescue, self.capture)
        if sum(way is not None for way in ways) != 1:
            raise InputError(
                "an order is for one thing", "give archive, image, wipe, rescue or capture", "order"
            )
