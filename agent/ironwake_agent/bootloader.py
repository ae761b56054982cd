"""Makes the disk bootable: the last thing that is written.

UEFI: Debian's signed shim and GRUB are copied, not installed by grub-install: they find their
configuration by themselves (GRUB's prefix is \\EFI\\debian), Secure Boot accepts nothing else, and
the copy takes no time. They stand twice: under the vendor's name for a boot entry, and as
\\EFI\\BOOT\\BOOTX64.EFI (BOOTAA64.EFI on ARM64) for firmware that has none, or has lost it.

The firmware's boot order is not touched unless the order says so: a machine that boots from the
network first goes on to do so. BootNext only saves the next start the wait for a network that has
nothing to offer.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ironwake import firstboot
from ironwake.errors import BrokenError
from ironwake.layout.work import ESP_PLACE, Boot, Esp, Work
from ironwake.profile import BootOrder
from ironwake_agent import menu, prepare
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.inside import inside

LABEL = firstboot.LABEL
_VENDOR, _REMOVABLE = "EFI/debian", "EFI/BOOT"
# shim's fallback program (fbx64.efi) stays out of \EFI\BOOT: it would rewrite the boot order.
_ENTRY = re.compile(r"^Boot([0-9A-F]{4})\*? (.*)$", re.MULTILINE)
_ORDER = re.compile(r"^BootOrder: ([0-9A-F,]+)$", re.MULTILINE)
# By the device path, or, where the vendor's own path says nothing, by the name.
_NETWORK = re.compile(
    r"\b(?:MAC|IPv[46]|Uri)\(|BBS\(Network|\b(?:PXE|HTTP)(?:v[46])?\b|\bNIC\b|\bnetwork\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Chain:
    """The signed boot chain for one kind of processor.

    :ivar suffix: how UEFI calls the processor in file names (UEFI 2.10 §3.5.1.1)
    :ivar grub: Debian's folder of the signed GRUB
    """

    suffix: str
    grub: str

    @property
    def shim(self) -> str:
        """What the firmware starts."""
        return f"shim{self.suffix}.efi"

    @property
    def removable(self) -> str:
        """The name that firmware looks for where it has no entry."""
        return f"BOOT{self.suffix.upper()}.EFI"

    @property
    def signed(self) -> dict[str, str]:
        """Name on the ESP → path in the archive."""
        grub = f"grub{self.suffix}.efi"
        return {
            self.shim: f"usr/lib/shim/{self.shim}.signed",
            f"mm{self.suffix}.efi": f"usr/lib/shim/mm{self.suffix}.efi.signed",
            grub: f"usr/lib/grub/{self.grub}/{grub}.signed",
        }


# by `uname -m`
CHAINS = {
    "x86_64": Chain("x64", "x86_64-efi-signed"),
    "aarch64": Chain("aa64", "arm64-efi-signed"),
}


def chain_here() -> Chain:
    """The chain for the processor that we run on; BrokenError where there is none."""
    machine = os.uname().machine
    if machine not in CHAINS:
        raise BrokenError(f"there is no signed boot chain for {machine}")
    return CHAINS[machine]


def install(run: Runner, target: Path, work: Work) -> None:
    """Write the boot loader; its menu stands in the mounted system already."""
    if work.grub:
        for disk in work.grub:
            run("chroot", str(target), "grub-install", "--target=i386-pc", "--no-floppy", disk)
        return
    copy_signed(target, inside(target, ESP_PLACE, follow=True), work.boot, chain_here())
    for other in work.esps[1:]:
        _copy_esp(run, target, other)


def copy_signed(target: Path, esp: Path, boot: Boot, chain: Chain) -> None:
    """Put Debian's signed boot chain of the system at `target` on the ESP at `esp`."""
    for folder in (_VENDOR, _REMOVABLE):
        (esp / folder).mkdir(parents=True, exist_ok=True)
        for name, source in chain.signed.items():
            if folder == _REMOVABLE and name == chain.shim:
                name = chain.removable
            file = inside(target, source, follow=True)
            if not file.exists():
                raise BrokenError(
                    f"the archive has no /{source}",
                    "build it with shim-signed and the signed grub-efi of its architecture",
                )
            shutil.copyfile(file, esp / folder / name)
        (esp / folder / "grub.cfg").write_text(menu.stub(boot))


def _copy_esp(run: Runner, target: Path, other: Esp) -> None:
    """The same on another disk: the machine starts when the first one is broken."""
    aside = Path("/run/ironwake-esp")
    aside.mkdir(exist_ok=True)
    run("mount", "-t", "vfat", other.device, str(aside))
    try:
        shutil.copytree(inside(target, ESP_PLACE, follow=True), aside, dirs_exist_ok=True)
    finally:
        run("umount", str(aside))


def enter_firmware(
    run: Runner, work: Work, boot_order: BootOrder, say: Callable[[str], None]
) -> None:
    """Give the firmware an entry for the disk that was made; a BIOS needs none."""
    if not work.grub:
        entry = Entry(work.esps[0], f"{_VENDOR}/{chain_here().shim}", prepare.dead(work))
        register(run, entry, boot_order, say)


@dataclass(frozen=True)
class Entry:
    """What the firmware shall start: `path` on the ESP, with slashes. `dead` are the GPT ids, lower
    case, of partitions that are gone: our earlier entries for those go, too."""

    esp: Esp
    path: str
    dead: frozenset[str] = frozenset()


def register(run: Runner, entry: Entry, boot_order: BootOrder, say: Callable[[str], None]) -> None:
    """Give the firmware an entry: for the coming start, and as the order says.

    Nothing here may fail an installation: \\EFI\\BOOT\\BOOTX64.EFI is found without an entry.
    """
    esp = entry.esp
    try:
        found = run("efibootmgr", "-v")
        gone = stale(found, entry.dead)
        for number in gone:
            run("efibootmgr", "-q", "-b", number, "-B")
        before = {number for number, _ in entries(found)} - set(gone)
        # -C: create only; the boot order stays as it is
        run("efibootmgr", "-q", "-C", "-d", esp.disk, "-p", str(esp.number),
            "-L", LABEL, "-l", f"\\{entry.path}".replace("/", "\\"))  # fmt: skip
        there = run("efibootmgr", "-v")
        ours = [
            number
            for number, text in entries(there)
            if text.startswith(LABEL) and number not in before
        ]
        if not ours:
            return
        run("efibootmgr", "-q", "-n", ours[0])
        if boot_order is not BootOrder.KEEP:
            run("efibootmgr", "-q", "-o", ",".join(ordered(there, ours[0], boot_order)))
    except CommandError as error:
        say(f"the firmware takes no boot entry, it will look for the disk itself: {error}")


def ordered(printed: str, ours: str, boot_order: BootOrder) -> Sequence[str]:
    """The numbers of the boot order that is asked for, from what `efibootmgr -v` prints now."""
    found = _ORDER.search(printed)
    there = [number for number in (found[1].split(",") if found else ()) if number != ours]
    if boot_order is BootOrder.DISK_FIRST:
        return [ours, *there]
    network = [number for number, text in entries(printed) if _NETWORK.search(text)]
    first = [number for number in there if number in network]
    return [*first, ours, *(number for number in there if number not in network)]


def entries(printed: str) -> list[tuple[str, str]]:
    """(number, label and path) of each boot entry that efibootmgr lists."""
    return [(number, text) for number, text in _ENTRY.findall(printed)]


def stale(printed: str, dead: frozenset[str]) -> list[str]:
    """Numbers of our own entries whose partition is gone."""
    return [
        number
        for number, text in entries(printed)
        if text.startswith(LABEL) and any(part in text.lower() for part in dead if part)
    ]
