"""What stands in the partitions of a disk that was just written: found, grown, given ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ironwake.disk import Disk, Part
from ironwake.errors import BrokenError
from ironwake.layout.identity import Identity
from ironwake.layout.work import partition
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.inside import inside
from ironwake_agent.target import exists

ASIDE = Path("/run/ironwake-image")
_EXT = ("ext2", "ext3", "ext4")
MOUNTABLE = (*_EXT, "xfs", "btrfs")
_MEMBER = "linux_raid_member"
# Where distributions keep the root on btrfs, if it is not the file system's own top.
_SUBVOLUMES = ("@rootfs", "@", "root")


@dataclass(frozen=True)
class Volume:
    """A partition, an array or a logical volume, and what is in it, as blkid says it.

    `part` is None for the others, and `group` a logical volume's.
    """

    device: str
    kind: str = ""
    uuid: str = ""
    label: str = ""
    part: Part | None = None
    group: str = ""

    @property
    def specs(self) -> tuple[str, ...]:
        """What fstab may call it, lower case but for labels."""
        partuuid = f"PARTUUID={self.part.uuid}" if self.part and self.part.uuid else ""
        partlabel = f"PARTLABEL={self.part.name}" if self.part and self.part.name else ""
        own = f"UUID={self.uuid.lower()}" if self.uuid else ""
        label = f"LABEL={self.label}" if self.label else ""
        return tuple(one for one in (own, label, partuuid, partlabel, self.device) if one)


@dataclass(frozen=True)
class Root:
    """Where the system's root is; `subvolume` is btrfs's, else ""."""

    volume: Volume
    subvolume: str = ""


def look(run: Runner, disk: str, parts: Sequence[Part]) -> tuple[Volume, ...]:
    """All volumes of the disk; those of LVM groups are switched on."""
    found = _of(run, disk, parts)
    return (*found, *_logical(run, found))


def look_all(run: Runner, disks: Sequence[Disk]) -> tuple[Volume, ...]:
    """All volumes of several disks, to be read alone: arrays are assembled, and nothing of them is
    mended or written; an array that cannot be is left out."""
    found = [one for disk in disks for one in _of(run, disk.path, disk.parts)]
    found += _arrays(run, found)
    return (*found, *_logical(run, found))


def let_go(run: Runner, volumes: Sequence[Volume]) -> None:
    """Switch LVM groups and arrays off: nobody has the disks then."""
    for group in dict.fromkeys(one.group for one in volumes if one.group):
        run("lvm", "vgchange", "-an", group)
    for one in volumes:
        if one.part is None and not one.group:
            run("mdadm", "--stop", one.device)


def find_root(run: Runner, volumes: Sequence[Volume]) -> Root | None:
    """The first volume that has a system in it."""
    for volume in volumes:
        if volume.kind not in MOUNTABLE:
            continue
        with mounted(run, volume, "ro") as place:
            for name in ("", *(_SUBVOLUMES if volume.kind == "btrfs" else ())):
                top = inside(place, name)
                if inside(top, "etc/os-release").is_symlink() or exists(top, "etc/fstab"):
                    return Root(volume, name)
    return None


def extend(run: Runner, volumes: Sequence[Volume], grown: int, root: Root | None) -> Volume | None:
    """Let LVM have what its partition has got; the volume whose file system can grow then."""
    holder = next((one for one in volumes if one.part and one.part.number == grown), None)
    if holder is None or holder.kind != "LVM2_member":
        return holder
    run("lvm", "pvresize", holder.device)
    if root is None or not root.volume.group:
        return None
    words = ("--noheadings", "-o", "vg_free_count", root.volume.group)
    if run("lvm", "vgs", *words).strip() in ("", "0"):
        return None
    run("lvm", "lvextend", "--quiet", "-l", "+100%FREE", root.volume.device)
    return root.volume


def grow(run: Runner, volume: Volume, say: Callable[[str], None]) -> None:
    """Let the file system fill its volume; others than ext, XFS and btrfs stay as they are."""
    if volume.kind in _EXT:
        _check_ext(run, volume.device)
        run("resize2fs", volume.device, timeout=3600.0)
    elif volume.kind == "xfs":
        with mounted(run, volume, "rw,nouuid") as place:
            run("xfs_growfs", str(place), timeout=3600.0)
    elif volume.kind == "btrfs":
        with mounted(run, volume, "rw") as place:
            run("btrfs", "filesystem", "resize", "max", str(place), timeout=3600.0)
    else:
        say(f"{volume.device} is larger now, what is in it is not: {volume.kind or 'unknown'}")


def renew(
    run: Runner, volumes: Sequence[Volume], identity: Identity
) -> tuple[tuple[Volume, ...], dict[str, str]]:
    """Give all file systems new ids: (the volumes with them, old id → new one)."""
    now, ids = [], {}
    for number, volume in enumerate(volumes, start=1):
        changed = _renewed(run, volume, identity, str(number))
        if changed.uuid != volume.uuid:
            ids[volume.uuid] = changed.uuid
        now.append(changed)
    return tuple(now), ids


@contextmanager
def mounted(run: Runner, volume: Volume, options: str) -> Iterator[Path]:
    """A file system, for a moment."""
    if volume.kind != "xfs":
        options = options.replace(",nouuid", "")
    ASIDE.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", volume.kind, "-o", options, volume.device, str(ASIDE))
    try:
        yield ASIDE
    finally:
        run("umount", str(ASIDE))


def _of(run: Runner, disk: str, parts: Sequence[Part]) -> list[Volume]:
    return [_probed(run, Volume(partition(disk, part.number), part=part)) for part in parts]


def _arrays(run: Runner, found: Sequence[Volume]) -> list[Volume]:
    members = [one for one in found if one.kind == _MEMBER]
    arrays = []
    if members:
        run("modprobe", "-a", "md-mod")
    for number, uuid in enumerate(dict.fromkeys(one.uuid for one in members)):
        device = f"/dev/md{number}"
        parts = [one.device for one in members if one.uuid == uuid]
        with suppress(CommandError):  # too few of them
            run("mdadm", "--assemble", "--readonly", "--run", device, *parts)
            arrays.append(_probed(run, Volume(device)))
    return arrays


def _logical(run: Runner, found: Sequence[Volume]) -> list[Volume]:
    groups: list[str] = []
    inside_them = []
    for volume in [one for one in found if one.kind == "LVM2_member"]:
        if not groups:
            run("modprobe", "-a", "dm-mod")
        words = ("--noheadings", "-o", "vg_name", volume.device)
        if group := run("lvm", "pvs", *words).strip():
            groups.append(group)
    for group in dict.fromkeys(groups):
        run("lvm", "vgchange", "-ay", group)
        for path in run("lvm", "lvs", "--noheadings", "-o", "lv_dm_path", group).split():
            inside_them.append(_probed(run, Volume(path, group=group)))
    return inside_them


def _probed(run: Runner, volume: Volume) -> Volume:
    try:
        printed = run("blkid", "-p", "-o", "export", volume.device)
    except CommandError:
        return volume  # it ends with 2 where nothing is found
    rows = dict(line.partition("=")[::2] for line in printed.splitlines())
    return replace(
        volume,
        kind=rows.get("TYPE", ""),
        uuid=rows.get("UUID", ""),
        label=rows.get("LABEL", ""),
    )


def _renewed(run: Runner, volume: Volume, identity: Identity, number: str) -> Volume:
    device, uuid = volume.device, identity.of("image", "fs", number)
    if volume.kind in _EXT:
        _check_ext(run, device)
        run("tune2fs", "-U", uuid, device, timeout=3600.0)
    elif volume.kind == "xfs":
        with mounted(run, volume, "rw,nouuid"):
            pass  # what its log still has goes where it belongs
        run("xfs_db", "-x", "-c", f"uuid {uuid}", device)
    elif volume.kind == "btrfs":
        run("btrfstune", "-f", "-U", uuid, device, timeout=3600.0)
    elif volume.kind == "swap":
        run("swaplabel", "-U", uuid, device)
    elif volume.kind == "vfat":
        uuid = identity.fat("image", "fs", number)
        run("fatlabel", "-i", device, uuid.replace("-", ""))
    else:
        return volume
    return replace(volume, uuid=uuid)


def _check_ext(run: Runner, device: str) -> None:
    """e2fsck ends with 1 where it has mended something: that is no failure."""
    script = 'e2fsck -f -y "$1"; code=$?; [ $code -le 2 ] || exit $code'
    try:
        run("sh", "-c", script, "e2fsck", device, timeout=3600.0)
    except CommandError as error:
        raise BrokenError(
            f"the file system on {device} cannot be mended: {error}", "make the image anew"
        ) from None
