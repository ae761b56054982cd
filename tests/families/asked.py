"""What families are asked in tests: installs of any release, many layouts, hostile texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ironwake import release as releases
from ironwake.disk import DiskMatch
from ironwake.families.base import Install, Urls
from ironwake.layout.model import (
    Array,
    DiskLayout,
    Encryption,
    Format,
    Group,
    KeySource,
    Layout,
    Level,
    LogicalVolume,
    MountPoint,
    Partition,
    Role,
    Table,
    VolumeName,
)
from ironwake.parameters import Parameters
from ironwake.profile import Disk
from ironwake.sizes import Size
from ironwake_testing.core import MAC, make_bench

SITE = "http://10.77.0.2"
TOKEN = "ab" * 32
ANSWERS = f"{SITE}/deployments/{TOKEN}/answers/"
CALLBACKS = f"{SITE}/deployments/{TOKEN}/callbacks"
TREE = f"{SITE}/media/{'0' * 64}/"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFake me@laptop"
HASH = "$6$salt$" + "x" * 60
PASSPHRASE = 'it\'s $(reboot) `id` \\ "q" #1 <&>'
NAUGHTY = (
    "$(reboot)",
    "`id`",
    "it's",
    'a "quoted" one',
    "back\\slash",
    "# no comment",
    "%end",
    "<&>]]>",
    "Ünïcødé 🚀",
    "--erroronfail",
    "@disk_disk@ IRONWAKE-DISK-disk",
)


def install(
    release: str,
    layout: Layout | None = None,
    erase: tuple[str, ...] = (),
    match: str = "auto",
    keys: dict[str, str] | None = None,
    *,
    packages_from: str = "",
    roles: Iterable[str] = (),
    template: str = "",
    **stated: Any,
) -> Install:
    """For the bench's machine, with these parameters; `roles`: of the medium's files."""
    bench = make_bench()
    return Install(
        release=releases.find(release),
        machine=bench.machine,
        parameters=Parameters(**stated),
        disk=Disk(DiskMatch(match)),
        layout=layout,
        site=bench.policy.site,
        mac=MAC,
        urls=Urls(
            ANSWERS,
            CALLBACKS,
            f"{SITE}/deployments/{TOKEN}/reports",
            f"{SITE}/health/{'cd' * 32}",
            tree=TREE,
            packages=packages_from,
            parts={role: f"{SITE}/artifacts/{'1' * 64}/{role}" for role in roles},
        ),
        erase=erase,
        keys=keys or {},
        template=template,
    )


def part(name: str, size: str = "grow", **more: Any) -> Partition:
    return Partition(VolumeName(name), size=Size(size), **more)


def files(name: str, mount: str, size: str = "grow", **more: Any) -> Partition:
    return part(name, size, **{"format": Format.EXT4, "mount": MountPoint(mount), **more})


def disk(name: str, *parts: Partition, match: str = "auto", **more: Any) -> DiskLayout:
    return DiskLayout(VolumeName(name), parts, DiskMatch(match), **more)


def volume(name: str, size: str = "grow", **more: Any) -> LogicalVolume:
    return LogicalVolume(VolumeName(name), size=Size(size), **more)


ESP = part("esp", "512MiB", role=Role.ESP)
BIOS_BOOT = part("core", "1MiB", role=Role.BIOS_BOOT)
SWAP = part("swap", "2GiB", format=Format.SWAP)
SEALED = Encryption(KeySource.PASSPHRASE)

PLAIN = Layout((disk("first", ESP, BIOS_BOOT, SWAP, files("root", "/", options=("noatime",))),))
PERCENT = Layout(
    (disk("first", ESP, files("root", "/", "25%"), files("srv", "/srv", label="srv")),)
)
MSDOS = Layout((disk("only", files("root", "/"), table=Table.MSDOS),))
LVM = Layout(
    (disk("first", ESP, files("boot", "/boot", "1GiB"), part("pv")),),
    groups=(
        Group(
            VolumeName("vg0"),
            ("first/pv",),
            (
                volume("root", "20GiB", format=Format.XFS, mount=MountPoint("/")),
                volume("swap", "4GiB", format=Format.SWAP),
                volume("data", format=Format.EXT4, mount=MountPoint("/srv/data"), label="data"),
            ),
        ),
    ),
)
RAID = Layout(
    (
        disk("first", ESP, files("boot", "/boot", "1GiB"), part("system"), match="smallest"),
        disk("second-one", part("system"), match="smallest"),
    ),
    arrays=(
        Array(
            VolumeName("both"),
            format=Format.XFS,
            mount=MountPoint("/"),
            level=Level.MIRROR,
            of=("first/system", "second-one/system"),
        ),
    ),
)
SEALED_LVM = Layout(
    (disk("first", ESP, files("boot", "/boot", "1GiB"), part("pv", encrypt=SEALED)),),
    groups=(
        Group(
            VolumeName("vg0"),
            ("first/pv",),
            (volume("root", format=Format.EXT4, mount=MountPoint("/")),),
        ),
    ),
)
SEALED_KEYS = {"first-pv-open": PASSPHRASE}
BTRFS = Layout(
    (
        disk(
            "first",
            ESP,
            part(
                "pool",
                format=Format.BTRFS,
                subvolumes={"@": MountPoint("/"), "home": MountPoint("/home")},
            ),
        ),
    )
)
LAYOUTS = {
    "plain": PLAIN,
    "percent": PERCENT,
    "msdos": MSDOS,
    "lvm": LVM,
    "raid": RAID,
    "sealed": SEALED_LVM,
}
