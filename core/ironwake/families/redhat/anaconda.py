"""What anaconda is told of disks: commands that a %pre script writes, once it knows the devices.

A kickstart names disks by the kernel's names, which only the machine itself knows. So the commands
stand in %pre, in the shell's own here-document, with shell variables where a disk is meant;
anaconda reads them by `%include` after that script.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from ironwake.errors import InputError
from ironwake.families import guard, storage
from ironwake.families.redhat import kickstart
from ironwake.families.redhat.kickstart import Command
from ironwake.families.storage import Can, Item, Use
from ironwake.layout.model import (
    Array,
    DiskLayout,
    Format,
    Group,
    Layout,
    LogicalVolume,
    Partition,
    Table,
)

INCLUDE = "/tmp/ironwake-storage.ks"  # noqa: S108 (the installer's own memory)
# All that grow begin alike, so they share alike; none is too small for its file system.
_LEAST = 500
# Words for the shell stand between zero bytes, which no word of a person's can have.
_SHELL = re.compile(r"\0([^\0]*)\0")
_END = "IRONWAKE-STORAGE"


def can(*, btrfs: bool) -> Can:
    """Anaconda's; the installers of RHEL and its kin make no btrfs."""
    formats = frozenset(Format) if btrfs else frozenset(Format) - {Format.BTRFS}
    return Can("anaconda", formats=formats, btrfs_in_groups=False)


def check(layout: Layout) -> None:
    """InputError for what only a kickstart cannot say."""
    for number, group in enumerate(layout.groups):
        sizes = [volume.size for volume in group.volumes]
        some = [size for size in sizes if size.percent is not None]
        if some and any(size.percent is None and not size.grows for size in sizes):
            raise InputError(
                f"anaconda takes percent of what the fixed volumes of {group.name} leave",
                "give all of its volumes in percent, or none",
                f"layout.groups[{number}].volumes",
            )
        for index, size in enumerate(sizes):
            where = f"layout.groups[{number}].volumes[{index}].size"
            storage.check_whole_percent("anaconda", size, where)


def script(layout: Layout | None, append: str, keys: Mapping[str, str]) -> str:
    """Shell text that writes the commands; it stands behind the guard's, which knows the disks.

    :param append: words for the installed system's kernel
    :param keys: passphrases by the names of mappings
    """
    commands = _usual(append) if layout is None else _all(layout, append, keys)
    body = "\n".join(_line(command) for command in commands)
    return f"{_FUNCTIONS}cat >{INCLUDE} <<{_END}\n{body}\n{_END}\n"


_FUNCTIONS = """\
part_of() {
    name=$(echo "${1#/dev/}" | tr / !)
    echo $(($(cat "$block/$name"/size) / 2048 * $2 / 10000))
}
"""


def _line(command: Command) -> str:
    """As it stands in a here-document whose end is not quoted."""
    kickstart.line([_SHELL.sub("", word) for word in command])
    parts = _SHELL.split(" ".join(shlex.quote(word) for word in command))
    # Every second one is for the shell.
    return "".join(
        part if number % 2 else re.sub(r"([\\$`])", r"\\\1", part)
        for number, part in enumerate(parts)
    )


def _device(name: str) -> str:
    return f"\0${{{guard.variable(name)}#/dev/}}\0"


def _usual(append: str) -> Iterator[Command]:
    """One disk, divided as the release does it."""
    disk = _device("disk")
    yield from _emptied([disk], "gpt")
    yield _bootloader(disk, append)
    yield "autopart", "--type=plain", "--nohome"


def _emptied(devices: list[str], label: str) -> Iterator[Command]:
    """Those disks and no other: anaconda does not even look at the others."""
    listed = ",".join(devices)
    yield "ignoredisk", f"--only-use={listed}"
    yield ("zerombr",)
    yield "clearpart", "--all", "--initlabel", f"--drives={listed}", f"--disklabel={label}"


def _bootloader(device: str, append: str) -> Command:
    words = (f"--append={append}",) if append else ()
    return "bootloader", "--location=mbr", f"--boot-drive={device}", *words


def _all(layout: Layout, append: str, keys: Mapping[str, str]) -> Iterator[Command]:
    devices = {str(disk.name): _device(disk.name) for disk in layout.disks}
    tables = {disk.table for disk in layout.disks}
    if len(tables) > 1:
        raise InputError(
            "anaconda gives all disks the same kind of table",
            "use one table for all",
            "layout.disks",
        )
    yield from _emptied(list(devices.values()), "gpt" if Table.GPT in tables else "msdos")
    yield _bootloader(devices[_boots(layout)], append)
    yield from _Writer(layout, devices, keys).commands()


def _boots(layout: Layout) -> str:
    """The disk that the firmware starts: the one with its partition, else with /boot or /."""

    def rank(disk: DiskLayout) -> int:
        places = {str(place) for part in disk.partitions for _, place in part.places}
        return 2 * ("/boot" in places) + ("/" in places)

    has_esp = [disk for disk in layout.disks if any(p.role != "data" for p in disk.partitions)]
    return str((has_esp or [max(layout.disks, key=rank)])[0].name)


class _Writer:
    def __init__(self, layout: Layout, devices: Mapping[str, str], keys: Mapping[str, str]) -> None:
        self._layout = layout
        self._devices = devices
        self._keys = keys
        self._members: dict[str, str] = {}  # reference → what commands call it: pv.01

    def commands(self) -> Iterator[Command]:
        found = list(storage.items(self._layout))
        for item in found:
            if isinstance(item.volume, Partition):
                yield from self._partition(item, item.volume)
        for item in found:
            if isinstance(item.volume, Array):
                yield from self._array(item, item.volume)
        for group in self._layout.groups:
            yield from self._group(group)
        for item in found:
            if isinstance(item.volume, LogicalVolume):
                yield self._logical(item, item.volume)

    def _partition(self, item: Item, partition: Partition) -> Iterator[Command]:
        device = self._devices[item.owner]
        size: tuple[str, ...] = (f"--size={_LEAST}", "--grow")
        if partition.size.percent is not None:
            whole = f'"${guard.variable(item.owner)}"'
            part = f"\0$(part_of {whole} {storage.hundredths(partition.size)})\0"
            size = (f"--size={part}",)
        elif not partition.size.grows:
            size = (f"--size={storage.mebibytes(partition.size)}",)
        place, words = self._target(item)
        yield "part", place, *words, *size, f"--ondisk={device}", *self._sealing(item)
        yield from self._btrfs(item)

    def _array(self, item: Item, array: Array) -> Iterator[Command]:
        place, words = self._target(item)
        spares = (f"--spares={array.spares}",) if array.spares else ()
        yield (
            *("raid", place, f"--device={array.name}", f"--level=RAID{array.level.value}"),
            *(*spares, *words, *self._sealing(item)),
            *(self._members[reference] for reference in array.of),
        )
        yield from self._btrfs(item)

    def _group(self, group: Group) -> Iterator[Command]:
        yield "volgroup", str(group.name), *(self._members[one] for one in group.of)

    def _logical(self, item: Item, volume: LogicalVolume) -> Command:
        place, words = self._target(item)
        size: tuple[str, ...] = (f"--size={_LEAST}", "--grow")
        if volume.size.percent is not None:
            size = (f"--percent={int(volume.size.percent)}",)
        elif not volume.size.grows:
            size = (f"--size={storage.mebibytes(volume.size)}",)
        named = (f"--vgname={item.owner}", f"--name={volume.name}")
        return "logvol", place, *named, *words, *size, *self._sealing(item)

    def _target(self, item: Item) -> tuple[str, tuple[str, ...]]:
        """Its place, or what others call it by, and the words about its file system."""
        prefix = {Use.ARRAY: "raid", Use.GROUP: "pv"}.get(item.use)
        if item.use is Use.FILES and item.volume.format is Format.BTRFS:
            prefix = "btrfs"
        if prefix:
            name = f"{prefix}.{len(self._members) + 1:02}"
            self._members[item.reference] = name
            return name, ("--fstype=btrfs",) if prefix == "btrfs" else ()
        if item.use is Use.ESP:
            return item.mount, ("--fstype=efi",)
        if item.use is Use.BIOS_BOOT:
            return "biosboot", ("--fstype=biosboot",)
        return self._files(item)

    def _files(self, item: Item) -> tuple[str, tuple[str, ...]]:
        volume = item.volume
        words = [f"--fstype={volume.format}"]
        if volume.label:
            words.append(f"--label={volume.label}")
        if volume.options:
            words.append(f"--fsoptions={','.join(volume.options)}")
        # "None" is anaconda's word for a file system that is mounted nowhere.
        return "swap" if item.use is Use.SWAP else item.mount or "None", tuple(words)

    def _btrfs(self, item: Item) -> Iterator[Command]:
        volume = item.volume
        if item.use is not Use.FILES or volume.format is not Format.BTRFS:
            return
        label = volume.label or str(volume.name)
        yield "btrfs", item.mount or "none", f"--label={label}", self._members[item.reference]
        for name, place in sorted(volume.subvolumes.items()):
            yield "btrfs", str(place), "--subvol", f"--name={name}", label

    def _sealing(self, item: Item) -> tuple[str, ...]:
        if not item.volume.encrypt:
            return ()
        return "--encrypted", "--luks-version=luks2", f"--passphrase={item.key(self._keys)}"
