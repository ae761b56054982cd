"""A layout as a recipe of partman, the Debian installer's (partman-auto-recipe.txt).

One disk, partitions and one volume group; sizes are in MB (10⁶ bytes). A recipe's entry is
`LEAST PRIORITY MOST FILESYSTEM flags .`, and those that grow share what is left by their priority.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ironwake.errors import InputError
from ironwake.families import storage
from ironwake.families.storage import Can, Item, Use
from ironwake.layout.model import Format, Layout, Partition, Table
from ironwake.sizes import Size

CAN: Final = Can(
    "the Debian installer",
    formats=frozenset({Format.EXT4, Format.XFS, Format.BTRFS, Format.SWAP, Format.VFAT}),
    keys=frozenset(),
    percent=False,
    group_percent=False,
    subvolumes=False,
)
_STEP = "change the layout, or use method: archive"
_MB = 1_000_000
_LEAST, _MOST = 500, 1_000_000_000  # MB of what grows
_MEMBER = "ext4"  # partman wants a file system's word here; the method says what it is

Row = tuple[str, str, str, str]


def check(layout: Layout) -> None:
    """InputError for what no recipe can say."""
    if len(layout.disks) > 1:
        raise InputError("the Debian installer's recipe is for one disk", _STEP, "layout.disks[1]")
    if layout.arrays:
        raise InputError("the Debian installer is told of no arrays here", _STEP, "layout.arrays")
    if len(layout.groups) > 1:
        raise InputError("its recipe has one volume group", _STEP, "layout.groups[1]")
    storage.check(layout, CAN)
    for item in storage.items(layout):
        if item.volume.encrypt:
            raise InputError("its recipe has no encryption", _STEP, f"{item.where}.encrypt")


def rows(layout: Layout) -> Iterator[Row]:
    """The answers that divide the disk so."""
    items = list(storage.items(layout))
    table = "msdos" if layout.disks[0].table is Table.MSDOS else "gpt"
    yield "d-i", "partman-auto/method", "string", "lvm" if layout.groups else "regular"
    if layout.groups:
        yield "d-i", "partman-auto-lvm/guided_size", "string", "max"
        yield "d-i", "partman-auto-lvm/new_vg_name", "string", str(layout.groups[0].name)
        for name in ("confirm", "confirm_nooverwrite", "device_remove_lvm"):
            yield "d-i", f"partman-lvm/{name}", "boolean", "true"
    entries = " ".join(_entry(item, layout) for item in items)
    yield "d-i", "partman-auto/expert_recipe", "string", f"ironwake :: {entries}"
    yield "d-i", "partman-auto/choose_recipe", "select", "ironwake"
    if not any(item.use is Use.SWAP for item in items):
        yield "d-i", "partman-basicfilesystems/no_swap", "boolean", "false"
    yield "d-i", "partman-partitioning/choose_label", "select", table
    yield "d-i", "partman/default_label", "string", table


def _entry(item: Item, layout: Layout) -> str:
    flags = " ".join(_flags(item, layout))
    return f"{_sizes(item.size)} {_word(item)} {flags} ."


def _sizes(size: Size | None) -> str:
    fixed = None if size is None or size.grows else size.of(0)
    if fixed is None:
        return f"{_LEAST} {_MOST} -1"
    whole = -(-fixed // _MB)
    return f"{whole} {whole} {whole}"


def _word(item: Item) -> str:
    words = {Use.ESP: "fat32", Use.BIOS_BOOT: "free", Use.SWAP: "linux-swap", Use.GROUP: _MEMBER}
    return words.get(item.use) or _filesystem(item)


def _filesystem(item: Item) -> str:
    return "fat32" if item.volume.format is Format.VFAT else str(item.volume.format)


def _flags(item: Item, layout: Layout) -> Iterator[str]:
    if isinstance(item.volume, Partition):
        if layout.groups:
            yield "$defaultignore{ }"
        if layout.disks[0].table is Table.MSDOS:
            yield "$primary{ }"
    else:
        yield f"$lvmok{{ }} in_vg{{ {item.owner} }} lv_name{{ {item.volume.name} }}"
    match item.use:
        case Use.ESP:
            yield "$iflabel{ gpt } method{ efi } format{ }"
        case Use.BIOS_BOOT:
            yield "$iflabel{ gpt } method{ biosgrub }"
        case Use.SWAP:
            yield "method{ swap } format{ }"
        case Use.GROUP:
            yield f"method{{ lvm }} vg_name{{ {item.user} }}"
        case _:
            yield "method{ format } format{ } use_filesystem{ }"
            yield f"filesystem{{ {_filesystem(item)} }}"
            if item.mount:
                yield f"mountpoint{{ {item.mount} }}"
            if item.volume.label:
                yield f"label{{ {item.volume.label} }}"
            for option in item.volume.options:
                yield f"options/{option}{{ {option} }}"
