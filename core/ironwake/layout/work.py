"""What a layout means on a machine's real disks: commands in order, mounts, and the files about it.

The agent runs the very commands that the dry run shows. Nothing is left to chance or to the moment:
ids come from the deployment, sizes from the disks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from ironwake import disk as disks
from ironwake.disk import Disk, Part
from ironwake.errors import RefusedError
from ironwake.layout import filesystems, room, table
from ironwake.layout.check import mapping
from ironwake.layout.extents import Extent, extents
from ironwake.layout.filesystems import Command, Place
from ironwake.layout.identity import Identity
from ironwake.layout.model import (
    Array,
    DiskLayout,
    Format,
    Group,
    KeySource,
    Layout,
    Level,
    LogicalVolume,
    Role,
    Table,
    Volume,
    Wipe,
)
from ironwake.names import KernelWord

ESP_PLACE = "/boot/efi"


@dataclass(frozen=True)
class Target:
    """The machine that the layout is for.

    :ivar machine: as `uname -m` says it
    :ivar erase: names of disks whose contents may go
    :ivar least: bytes that the system needs on the disk of its root
    """

    disks: tuple[Disk, ...]
    uefi: bool
    machine: str
    identity: Identity
    erase: tuple[str, ...] = ()
    least: int = 0


@dataclass(frozen=True)
class DiskWork:
    """One disk: `stays` where its table is the layout's own already."""

    wanted: DiskLayout
    disk: Disk
    places: tuple[Extent, ...]
    kinds: dict[int, str]
    stays: bool


@dataclass(frozen=True)
class Sealed:
    """An encrypted volume: its mapping's name, its LUKS UUID, and what opens it."""

    name: str
    device: str
    uuid: str
    key: KeySource


@dataclass(frozen=True)
class Esp:
    """An EFI system partition: `number` is its own on `disk`."""

    device: str
    number: int
    disk: str


@dataclass(frozen=True)
class Boot:
    """For GRUB's menu.

    :ivar uuid: of the file system that has the kernels
    :ivar folder: theirs, as GRUB sees it: `/boot`, or "" where that is a file system of its own
    :ivar words: of the kernel's command line: which is the root
    """

    uuid: str
    folder: str
    words: tuple[KernelWord, ...]


@dataclass(frozen=True)
class Work:
    """All that is to be done.

    `places` in the order of mounting; `esps` are EFI system partitions, the first one mounted;
    `grub` are disks that a BIOS may start.
    """

    disks: tuple[DiskWork, ...]
    commands: tuple[Command, ...]
    places: tuple[Place, ...]
    swaps: tuple[Place, ...]
    sealed: tuple[Sealed, ...]
    arrays: tuple[tuple[str, str], ...]  # name, md's UUID
    esps: tuple[Esp, ...]
    grub: tuple[str, ...]

    @property
    def boot(self) -> Boot:
        """Where GRUB finds the kernel."""
        by_mount = {place.mount: place for place in self.places}
        root, here = by_mount["/"], by_mount.get("/boot")
        inside = here or root
        folder = f"/{inside.subvolume}" if inside.subvolume else ""
        # Of LVM, and of what is encrypted, the initrd opens what it is told by name.
        mapped = root.device.startswith("/dev/mapper/")
        words = [f"root={root.device if mapped else root.spec}"]
        if root.subvolume:
            words.append(f"rootflags=subvol={root.subvolume}")
        return Boot(
            inside.spec.removeprefix("UUID="),
            folder if here else f"{folder}/boot",
            tuple(KernelWord(word) for word in words),
        )


def work(layout: Layout, target: Target) -> Work:
    """What is to be done; RefusedError where this machine's disks do not allow it."""
    chosen = _choose(layout, target)
    _check_firmware(layout, target)
    return _Worker(layout, target, chosen).work()


def _choose(layout: Layout, target: Target) -> dict[str, Disk]:
    """A disk for each, those that are named first: what is left is the others' choice."""
    taken: dict[str, Disk] = {}
    root = _disk_of_root(layout)
    named = sorted(layout.disks, key=lambda one: one.match == "auto" or bool(one.match.criteria))
    for wanted in named:
        least = target.least if wanted.name == root else 0
        paths = [disk.path for disk in taken.values()]
        disk = disks.choose(target.disks, wanted.match, least, paths)
        disks.guard(disk, target.erase, least)
        taken[wanted.name] = disk
    return taken


def _disk_of_root(layout: Layout) -> str:
    """The only disk's name; with several, the system need not be on one of them alone."""
    return layout.disks[0].name if len(layout.disks) == 1 else ""


def _check_firmware(layout: Layout, target: Target) -> None:
    parts = [part for disk in layout.disks for part in disk.partitions]
    if target.uefi and not any(part.role is Role.ESP for part in parts):
        raise RefusedError(
            "this machine boots by UEFI, and the layout has no EFI system partition",
            "add a partition with role: esp, size: 512MiB",
        )
    gpt = all(disk.table is Table.GPT for disk in layout.disks)
    if not target.uefi and gpt and not any(part.role is Role.BIOS_BOOT for part in parts):
        raise RefusedError(
            "this machine boots by a BIOS, and the layout has no place for GRUB",
            "add a partition with role: bios-boot, size: 1MiB",
        )


class _Worker:
    """Goes through a layout from the bottom up."""

    def __init__(self, layout: Layout, target: Target, chosen: dict[str, Disk]) -> None:
        self._layout = layout
        self._target = target
        self._chosen = chosen
        self._devices: dict[str, str] = {}  # reference → what others use
        self._commands: list[Command] = []
        self._places: list[Place] = []
        self._sealed: list[Sealed] = []
        self._esps: list[Esp] = []

    def work(self) -> Work:
        layout = self._layout
        of_arrays = frozenset(ref for array in layout.arrays for ref in array.of)
        of_groups = frozenset(ref for group in layout.groups for ref in group.of)
        users = table.Users(of_arrays, of_groups)
        planned = tuple(self._plan(wanted, users) for wanted in layout.disks)
        sizes = {
            f"{one.wanted.name}/{place.partition.name}": place.size
            for one in planned
            for place in one.places
        }
        room.check(layout, sizes)
        self._load()
        for one in planned:
            self._divide(one)
        for one in planned:
            for place in one.places:
                self._partition(one, place)
        for array in layout.arrays:
            self._array(array)
        for group in layout.groups:
            self._group(group)
        root_first = sorted(self._places, key=lambda one: (len(one.parts), one.mount))
        return Work(
            disks=planned,
            commands=tuple(self._commands),
            places=tuple(one for one in root_first if one.format is not Format.SWAP),
            swaps=tuple(one for one in self._places if one.format is Format.SWAP),
            sealed=tuple(self._sealed),
            arrays=tuple((str(a.name), self._target.identity.md(a.name)) for a in layout.arrays),
            esps=tuple(self._esps),
            grub=() if self._target.uefi else tuple(self._grub(planned)),
        )

    def _plan(self, wanted: DiskLayout, users: table.Users) -> DiskWork:
        disk = self._chosen[wanted.name]
        places = extents(wanted, disk)
        kinds = table.types(wanted, places, users, self._target.machine)
        same = table.is_there(wanted, disk, places, kinds)
        if wanted.wipe is Wipe.NEVER and not same:
            raise RefusedError(
                f"disk {disk} has not the partitions of the layout, and may not be divided anew",
                "correct the layout, or write wipe: if-foreign",
            )
        return DiskWork(wanted, disk, places, kinds, same and wanted.wipe is not Wipe.ALWAYS)

    def _divide(self, one: DiskWork) -> None:
        """Old signatures go first: md and LVM would find themselves again in the new partitions."""
        path = one.disk.path
        kept = {place.kept.number for place in one.places if place.kept}
        old = [partition(path, part.number) for part in one.disk.parts if part.number not in kept]
        if one.stays:
            if old:
                self._do("wipefs", "--all", "--quiet", "--force", *old)
            return
        if not kept:
            self._do("wipefs", "--all", "--quiet", "--force", *old, path)
            self._do("dd", "if=/dev/zero", f"of={path}", "bs=1M", "count=1", "conv=fsync,notrunc")
        elif old:
            self._do("wipefs", "--all", "--quiet", "--force", *old)
        wiping = "never" if kept else "always"
        script = table.script(one.wanted, one.disk, one.places, one.kinds, self._target.identity)
        self._do("sfdisk", f"--wipe={wiping}", f"--wipe-partitions={wiping}", "--quiet", path,
                 stdin=script)  # fmt: skip
        new = [partition(path, place.number) for place in one.places if not place.kept]
        if new:
            self._do("wipefs", "--all", "--quiet", "--force", *new, awaits=tuple(new))

    def _partition(self, one: DiskWork, place: Extent) -> None:
        device = partition(one.disk.path, place.number)
        reference = f"{one.wanted.name}/{place.partition.name}"
        if place.partition.role is Role.ESP:
            self._esp(one, place, device, reference)
        elif place.partition.role is Role.DATA:
            self._use(reference, device, place.partition, place.kept)

    def _esp(self, one: DiskWork, place: Extent, device: str, reference: str) -> None:
        serial = self._target.identity.fat(reference)
        if not place.kept:
            self._commands.append(filesystems.make_esp(device, serial))
        if not self._esps:
            spec = _spec(place.kept, f"UUID={serial}")
            roles = [part.role for disk in self._layout.disks for part in disk.partitions]
            alone = roles.count(Role.ESP) == 1
            self._places.append(filesystems.esp_place(device, spec, ESP_PLACE, alone=alone))
        self._esps.append(Esp(device, place.number, one.disk.path))

    def _load(self) -> None:
        """Nobody else loads these: what is above them asks for them by their device."""
        layout, wanted = self._layout, []
        if layout.arrays:
            wanted.append("md-mod")
        if layout.groups or any(volume.encrypt for _, _, volume in layout.volumes()):
            wanted.append("dm-mod")
        if wanted:
            self._do("modprobe", "-a", *wanted)

    def _array(self, array: Array) -> None:
        device = f"/dev/md/{array.name}"
        below = [self._devices[ref] for ref in array.of]
        spares = [f"--spare-devices={array.spares}"] if array.spares else []
        self._do(
            *("mdadm", "--create", device, "--run", "--quiet", "--metadata=1.2", "--homehost=any"),
            *(f"--name={array.name}", f"--uuid={self._target.identity.md(array.name)}"),
            *(f"--level={array.level.value}", f"--raid-devices={len(below) - array.spares}"),
            *(*spares, *_bitmap(array), *below),
        )
        self._use(str(array.name), device, array)

    def _group(self, group: Group) -> None:
        below = [self._devices[ref] for ref in group.of]
        self._do("pvcreate", "--yes", "--quiet", *below)
        self._do("vgcreate", "--yes", "--quiet", group.name, *below)
        for volume, size in _volume_sizes(group):
            self._do("lvcreate", "--yes", "--quiet", "--wipesignatures=y", f"--name={volume.name}",
                     *size, group.name)  # fmt: skip
        for volume in group.volumes:  # in the order of the layout
            reference = f"{group.name}/{volume.name}"
            self._use(
                reference, f"/dev/mapper/{_escaped(group.name)}-{_escaped(volume.name)}", volume
            )

    def _use(self, reference: str, device: str, volume: Volume, kept: Part | None = None) -> None:
        """Encrypt, and make the file system, as the volume says."""
        if volume.encrypt:
            device = self._seal(reference, device, volume.encrypt.key)
        self._devices[reference] = device
        if not volume.format:
            return
        uuid = self._target.identity.of(reference, "fs")
        serial = self._target.identity.fat(reference)
        if not kept:
            self._commands += filesystems.make(device, volume, uuid, serial)
        spec = _spec(kept, f"UUID={serial if volume.format is Format.VFAT else uuid}")
        self._places += filesystems.places(device, spec, volume)

    def _seal(self, reference: str, device: str, key: KeySource) -> str:
        name, uuid = mapping(reference), self._target.identity.of(reference, "luks")
        self._do("cryptsetup", "luksFormat", "--batch-mode", "--type=luks2", f"--uuid={uuid}",
                 "--key-file=-", device, key=name)  # fmt: skip
        self._do("cryptsetup", "open", "--type=luks2", "--key-file=-", device, name, key=name)
        self._sealed.append(Sealed(name, device, uuid, key))
        return f"/dev/mapper/{name}"

    def _grub(self, planned: Sequence[DiskWork]) -> Iterator[str]:
        for one in planned:
            roles = [place.partition.role for place in one.places]
            if one.wanted.table is Table.MSDOS or Role.BIOS_BOOT in roles:
                yield one.disk.path

    def _do(
        self, *words: str, stdin: str = "", awaits: Collection[str] = (), key: str = ""
    ) -> None:
        self._commands.append(Command(tuple(words), stdin, tuple(awaits), key))


def _bitmap(array: Array) -> tuple[str, ...]:
    """With it, an array is whole again soon after a power cut; level 0 has nothing to repair."""
    return () if array.level is Level.STRIPE else ("--bitmap=internal",)


def _escaped(name: str) -> str:
    """As device-mapper has a group's or a volume's name."""
    return name.replace("-", "--")


def _spec(kept: Part | None, own: str) -> str:
    """What fstab calls a file system by; one that was there before, by its partition."""
    return f"PARTUUID={kept.uuid}" if kept else own


def partition(disk: str, number: int) -> str:
    """A partition's device: `/dev/sda2`, but `/dev/nvme0n1p2` where the disk ends in a digit."""
    return f"{disk}{'p' if disk[-1].isdigit() else ''}{number}"


def _volume_sizes(group: Group) -> Iterator[tuple[LogicalVolume, tuple[str, ...]]]:
    """lvcreate's words, those of a known size first: the others share what is left."""
    growing = [volume for volume in group.volumes if volume.size.grows]
    for volume in group.volumes:
        percent = volume.size.percent
        if percent is not None:
            yield volume, (f"--extents={percent:g}%VG",)
        elif not volume.size.grows:
            yield volume, (f"--size={volume.size.of(0)}b",)
    for index, volume in enumerate(growing):
        yield volume, (f"--extents={100 // (len(growing) - index)}%FREE",)
