"""What must hold of a layout as a whole; each rule's error says in which field, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ironwake.errors import InputError
from ironwake.sizes import Size

if TYPE_CHECKING:
    from ironwake.layout.model import DiskLayout, Group, Layout, Volume

_MOST_PRIMARY = 4  # of an MSDOS table; from the fourth on they are logical, where there are more
_MOST = 60  # partitions of a disk: md and device-mapper have as many minor numbers to give


def disk(disk: DiskLayout) -> None:
    """One disk by itself."""
    parts = disk.partitions
    if not 1 <= len(parts) <= _MOST:
        raise InputError(
            f"disk {disk.name} has {len(parts)} partitions", f"give 1 to {_MOST}", "partitions"
        )
    _once((part.name for part in parts), "partitions", "the name of a partition")
    _sizes((part.size for part in parts), "partitions", "the disk")
    if any(part.keep for part in parts) and disk.wipe == "always":
        raise InputError(
            "what is kept cannot stand on a disk that is always wiped",
            "write wipe: if-foreign or never",
            "wipe",
        )
    for index, part in enumerate(parts):
        if part.keep and disk.table != "gpt":
            raise InputError(
                f"an MSDOS table has no names by which to find {part.name} again",
                "use table: gpt where something is kept",
                f"partitions[{index}].keep",
            )
        if part.role == "bios-boot" and disk.table != "gpt":
            raise InputError(
                "an MSDOS table has room for GRUB before its first partition",
                "leave this partition out",
                f"partitions[{index}].role",
            )


def group(group: Group) -> None:
    """One volume group by itself."""
    if not group.of:
        raise InputError(f"volume group {group.name} stands on nothing", "name some in of", "of")
    if not group.volumes:
        raise InputError(f"volume group {group.name} is empty", "give it volumes", "volumes")
    _once((volume.name for volume in group.volumes), "volumes", "the name of a volume")
    _sizes((volume.size for volume in group.volumes), "volumes", "the group")


def layout(layout: Layout) -> None:
    """All of it together."""
    if not layout.disks:
        raise InputError("a layout needs a disk", "give at least one in disks", "disks")
    _once((one.name for one in layout.disks), "disks", "the name of a disk")
    _once((one.name for one in layout.arrays), "arrays", "the name of an array")
    _once((one.name for one in layout.groups), "groups", "the name of a volume group")
    _names_of_mappings(layout)
    used = _uses(layout)
    _mounts(layout, used)
    _boot(layout, used)
    _root_key(layout, used)


def _names_of_mappings(layout: Layout) -> None:
    """Encrypted volumes are /dev/mapper/NAME: once each."""
    seen: dict[str, str] = {}
    for reference, where, volume in layout.volumes():
        if not volume.encrypt:
            continue
        name = mapping(reference)
        if name in seen:
            raise InputError(
                f"{reference} and {seen[name]} would have the same mapping {name}",
                "rename one",
                f"{where}.name",
            )
        seen[name] = reference


def mapping(reference: str) -> str:
    """What an encrypted volume is called when it is open: its name below /dev/mapper."""
    return f"{reference.replace('/', '-')}-open"


def _uses(layout: Layout) -> dict[str, str]:
    """What stands on which volume: reference → name of the array or group."""
    there = {ref: volume for ref, _, volume in layout.volumes() if "/" in ref}
    groups = {str(one.name) for one in layout.groups}
    there = {ref: volume for ref, volume in there.items() if ref.partition("/")[0] not in groups}
    disks = {str(one.name) for one in layout.disks}
    if both := disks & groups:
        raise InputError(
            f"{both.pop()} is a disk and a volume group", "rename one of them", "groups"
        )
    used: dict[str, str] = {}
    for index, array in enumerate(layout.arrays):
        _take(used, there, array.of, str(array.name), f"arrays[{index}].of")
        there[str(array.name)] = array
    for index, group in enumerate(layout.groups):
        _take(used, there, group.of, str(group.name), f"groups[{index}].of")
    return used


def _take(
    used: dict[str, str], there: dict[str, Volume], of: Iterable[str], name: str, where: str
) -> None:
    for number, reference in enumerate(of):
        place = f"{where}[{number}]"
        volume = there.get(reference)
        if volume is None:
            raise InputError(
                f"there is nothing called {reference!r:.60} before {name}",
                f"known are: {', '.join(there)}",
                place,
            )
        if reference in used:
            raise InputError(
                f"{reference} belongs to {used[reference]} already", "name each once", place
            )
        if volume.format or getattr(volume, "role", "data") != "data":
            raise InputError(
                f"{reference} has a file system of its own",
                f"leave out its format, or do not use it for {name}",
                place,
            )
        if getattr(volume, "keep", False):
            raise InputError(f"{reference} is kept as it is", f"do not use it for {name}", place)
        used[reference] = name


def _mounts(layout: Layout, used: dict[str, str]) -> None:
    seen: dict[str, str] = {}
    esps = 0
    for reference, where, volume in layout.volumes():
        role = getattr(volume, "role", "data")
        places = list(volume.places)
        if role == "esp":
            esps += 1
            places = [("", "/boot/efi")] if esps == 1 else []  # type: ignore[list-item]
        for _, place in places:
            if place in seen:
                raise InputError(
                    f"{place} is the place of {seen[place]} already",
                    "give each place once",
                    f"{where}.mount",
                )
            seen[place] = reference
        idle = not volume.format and role == "data" and reference not in used
        if idle and not getattr(volume, "keep", False) and volume.encrypt:
            raise InputError(
                f"nothing stands on {reference}, which is encrypted",
                "give it a format",
                f"{where}.encrypt",
            )
    if "/" not in seen:
        raise InputError("no file system is mounted at /", "give one of them mount: /", "disks")


def _boot(layout: Layout, used: dict[str, str]) -> None:
    """GRUB reads kernels from RAID, LVM and all our file systems, but opens nothing."""
    places = {
        str(place): (reference, where, volume)
        for reference, where, volume in layout.volumes()
        for _, place in volume.places
    }
    reference, where, volume = places.get("/boot") or places["/"]
    sealed = _sealed(layout, used, reference)
    if sealed:
        raise InputError(
            f"the boot loader cannot read {'/boot' if '/boot' in places else '/'}:"
            f" {sealed} is encrypted",
            "give /boot a file system of its own that is not (1GiB, ext4)",
            f"{where}.mount",
        )
    if volume.format in ("swap", "vfat"):
        raise InputError(
            f"{volume.format} cannot hold a system", "use ext4, xfs or btrfs", f"{where}.format"
        )


def _root_key(layout: Layout, used: dict[str, str]) -> None:
    """A key file lies in the root: it cannot open what that stands on."""
    root = next(ref for ref, _, one in layout.volumes() if ("/" in [p for _, p in one.places]))
    if sealed := _sealed(layout, used, root, "file"):
        raise InputError(
            f"the key file of {sealed} would lie inside of it, for / stands on it",
            "use key: tpm2 or key: passphrase",
            next(f"{where}.encrypt" for ref, where, _ in layout.volumes() if ref == sealed),
        )


def _sealed(layout: Layout, used: dict[str, str], reference: str, key: str = "") -> str:
    """The volume, encrypted with such a key, that this one stands on, or is; "" for none."""
    volumes = {ref: volume for ref, _, volume in layout.volumes()}
    below = [reference]
    while below:
        one = below.pop()
        encrypt = volumes[one].encrypt if one in volumes else None
        if encrypt and key in ("", encrypt.key):
            return one
        stands_on = one.partition("/")[0] if one not in used and "/" in one else one
        below += [ref for ref, name in used.items() if name == stands_on]
    return ""


def _once(names: Iterable[str], where: str, what: str) -> None:
    seen = set()
    for index, name in enumerate(names):
        if name in seen:
            raise InputError(f"{name} is {what} twice", "rename one", f"{where}[{index}].name")
        seen.add(name)


def _sizes(sizes: Iterable[Size], where: str, whole: str) -> None:
    total = sum(size.percent or 0 for size in sizes)
    if total > 100:
        raise InputError(f"these are {total:g}% of {whole}", "give 100% at most", where)
