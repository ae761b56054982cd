"""The disk was written, and does not boot yet: what is on it becomes this machine's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ironwake.errors import RefusedError
from ironwake.layout.identity import Identity
from ironwake.layout.work import Esp
from ironwake.newtable import NewTable
from ironwake.order import DiskImage, Order
from ironwake.partitions import ESP, ESP_MSDOS
from ironwake.profile import Ids, Seed
from ironwake_agent import bootloader, confinement, packages, prepare, scripts, sources, stated
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.image import references, system, volumes
from ironwake_agent.image.volumes import Root, Volume
from ironwake_agent.inside import inside
from ironwake_agent.network import Lease
from ironwake_agent.target import exists

_NO_FILES = ("swap", "none", "proc", "sysfs", "tmpfs", "devtmpfs", "nfs", "cifs")
_CORE = "boot/grub/i386-pc/load.cfg"  # is a part of GRUB's own code for a BIOS
_MAKERS = (
    ("usr/sbin/update-initramfs", "-u", "-k", "all"),
    ("usr/bin/dracut", "--regenerate-all", "--force"),
)
_PARTS = 3  # of a line of fstab, at the least


@dataclass(frozen=True)
class Hand:
    """What this works with."""

    run: Runner
    say: Callable[[str], None]
    target: Path
    uefi: bool


def adopt(hand: Hand, order: Order, image: DiskImage, table: NewTable, found: Found) -> None:
    """Give ids, grow, mount, and write what the order says; all is mounted afterwards.

    :raises RefusedError: the image can't be made what the order wants
    """
    run, say = hand.run, hand.say
    ids = dict(table.ids)
    root = volumes.find_root(run, found.volumes)
    grown = volumes.extend(run, found.volumes, table.grown, root) if table.grown else None
    if image.ids is Ids.NEW:
        found.volumes, more = volumes.renew(run, found.volumes, Identity(order.deployment))
        ids |= more
        root = _again(root, found.volumes)
    if grown:
        volumes.grow(run, grown, say)
    if root is None:
        _without_root(order, image, say)
        return
    _mount_root(hand, root)
    changed = references.mend(hand.target, ids)  # fstab too: it says what else there is
    _mount_others(hand, found.volumes)
    _check_references(hand, (*changed, *references.mend(hand.target, ids)))
    system.configure(hand.target, order, image.seed, say)


def finish(hand: Hand, order: Order, seed: Seed, lease: Lease, ear: scripts.Ear) -> None:
    """What needs the new system's own programs, and what depends on its packages; all is mounted.

    :raises BrokenError: the system can't be told what was stated
    """
    run, target = prepare.with_kernel(hand.run, hand.target), hand.target
    sources.configure(run, target, order)
    packages.install(run, target, order, lease)
    if seed is not Seed.NONE:
        stated.carry_out(target, order, network=seed is Seed.FILES)
    if order.scripts.post:
        prepare.show_kernel(run, target)
        scripts.after(order.scripts.post, target, lease, ear)
    confinement.label(
        run, target, whole=bool(order.packages or order.package_groups or order.scripts.post)
    )


class Found:
    """The volumes of the disk, with the ids that they have now."""

    def __init__(self, found: Sequence[Volume]) -> None:
        self.volumes = tuple(found)


def _mount_root(hand: Hand, root: Root) -> None:
    options = "noatime" + (f",subvol={root.subvolume}" if root.subvolume else "")
    hand.target.mkdir(parents=True, exist_ok=True)
    volume = root.volume
    hand.run("mount", "-t", volume.kind, "-o", options, volume.device, str(hand.target))


def _mount_others(hand: Hand, found: Sequence[Volume]) -> None:
    """Whatever of the system's fstab stands on this disk."""
    for spec, place, kind, options in fstab(hand.target):
        if place == "/" or kind in _NO_FILES:
            continue
        other = named(spec, found)
        if other:
            _mount_one(hand, other, place, options)


def fstab(root: Path) -> list[tuple[str, str, str, str]]:
    """(what, where, kind, options) of the system's fstab, what is mounted first before the rest."""
    path = inside(root, "etc/fstab", follow=True)
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    rows = [line.split() for line in lines if not line.lstrip().startswith("#")]
    found = [(*row[:_PARTS], row[_PARTS] if len(row) > _PARTS else "") for row in rows]
    whole = [(row[0], row[1], row[2], row[3]) for row in found if len(row) > _PARTS]
    return sorted(whole, key=lambda row: row[1].count("/"))


def named(spec: str, found: Sequence[Volume]) -> Volume | None:
    """The volume that fstab calls so, if it is on this disk."""
    key, _, value = spec.replace('"', "").partition("=")
    wanted = f"{key}={value if key.endswith('LABEL') else value.lower()}" if value else spec
    return next((one for one in found if wanted in one.specs), None)


def _mount_one(hand: Hand, volume: Volume, place: str, options: str) -> None:
    here = hand.target.joinpath(*(part for part in place.split("/") if part not in ("", "..")))
    if here.resolve() != here:
        raise RefusedError(f"the image's {place} leads somewhere else by a link", "make it anew")
    here.mkdir(parents=True, exist_ok=True)
    subvolume = [word for word in options.split(",") if word.startswith("subvol=")]
    words = ",".join(("noatime", *subvolume))
    hand.run("mount", "-t", volume.kind, "-o", words, volume.device, str(here))


def _check_references(hand: Hand, changed: tuple[str, ...]) -> None:
    if not changed:
        return
    hand.say(f"new ids in {', '.join(changed)}")
    if _CORE in changed and not hand.uefi:
        raise RefusedError(
            "the image's GRUB has the id of its file system in its code for a BIOS",
            "use identity: keep, or start the machine by UEFI",
        )
    if references.needs_initrd(changed):
        _make_initrd(hand)


def _make_initrd(hand: Hand) -> None:
    """Anew, by the image's own program."""
    for program, *words in _MAKERS:
        if exists(hand.target, program):
            prepare.show_kernel(hand.run, hand.target)
            hand.run("chroot", str(hand.target), f"/{program}", *words, timeout=1800.0)
            return
    raise RefusedError(
        "the image has ids in its initrd, and no program that makes another one",
        "use identity: keep",
    )


def _without_root(order: Order, image: DiskImage, say: Callable[[str], None]) -> None:
    stated = {
        "users": order.users,
        "packages": order.packages,
        "package_groups": order.package_groups,
        "firmware": order.firmware,
        "repositories": order.repositories,
        "proxy": order.proxy,
        "mirror": order.mirror,
        "scripts.post": order.scripts.post,
    }
    wanted = [name for name, given in stated.items() if given]
    if image.seed is not Seed.NONE or wanted:
        raise RefusedError(
            f"there is no system in {image.name} that can be looked into",
            f"use seed: none, and leave out {', '.join(wanted or ['users'])}: it is then written"
            " as it is",
        )
    say("there is no system that can be looked into: the image is written as it is")


def _again(root: Root | None, now: Sequence[Volume]) -> Root | None:
    """The root with its new id."""
    if root is None:
        return None
    volume = next(one for one in now if one.device == root.volume.device)
    return Root(volume, root.subvolume)


def esp_of(disk: str, found: Sequence[Volume]) -> Esp | None:
    """The EFI system partition."""
    for volume in found:
        if volume.part and volume.part.type.lower() in (ESP, ESP_MSDOS):
            return Esp(volume.device, volume.part.number, disk)
    return None


def loader(run: Runner, found: Sequence[Volume], esp: Esp) -> str:
    """What the firmware shall start, as a path on the ESP; the removable path is made good.

    "" where there is nothing.
    """
    volume = next(one for one in found if one.device == esp.device)
    chain = bootloader.chain_here()
    with suppress(CommandError), volumes.mounted(run, volume, "rw") as place:
        vendors = sorted(place.glob(f"[Ee][Ff][Ii]/*/{chain.shim}"))
        removable = sorted(place.glob(f"[Ee][Ff][Ii]/[Bb][Oo][Oo][Tt]/{chain.removable}"))
        if vendors and not removable:
            _copy(vendors[0].parent, place / "EFI/BOOT", chain)
        first = next(iter((*vendors, *removable)), None)
        return first.relative_to(place).as_posix() if first else ""
    return ""


def _copy(vendor: Path, removable: Path, chain: bootloader.Chain) -> None:
    """Firmware that has lost its entries looks there."""
    removable.mkdir(parents=True, exist_ok=True)
    for name in (*chain.signed, "grub.cfg"):
        if (vendor / name).is_file():
            new = chain.removable if name == chain.shim else name
            (removable / new).write_bytes((vendor / name).read_bytes())
