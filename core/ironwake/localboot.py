"""The ladder to the local disk, for firmware that boots from the network first.

The first that works is enough, and is remembered for the machine. Silence is best: no loader runs,
nothing is fetched, and nothing can be wrong with it. The others are for firmware that does not go
on to its disk when nobody answers. What each did on which firmware stands in docs/next-boot.md.
"""

from __future__ import annotations

from enum import StrEnum

from ironwake.firmware import Architecture, Firmware, Transport


class LoaderName(StrEnum):
    """Every boot loader that there is; `ironwake.loaders` has what each can do."""

    GRUB = "grub"
    IPXE = "ipxe"
    PXELINUX = "pxelinux"


class Rung(StrEnum):
    """One way to the disk."""

    SILENCE = "silence"  # DHCP says nothing; the firmware goes on by itself
    BOOT_ORDER = "boot-order"  # the agent has put the disk first; DHCP is silent all the same
    IPXE_EXIT = "ipxe-exit"  # iPXE returns an error, and the firmware goes on
    SANBOOT = "sanboot"  # iPXE starts the disk itself
    LOCALBOOT = "localboot"  # pxelinux gives the BIOS its turn again
    GRUB_CHAIN = "grub-chain"  # the network's GRUB starts the loader that is on the disk
    GRUB_CONFIG = "grub-config"  # the network's GRUB runs the disk's own configuration

    @property
    def loader(self) -> LoaderName | None:
        """The loader that must be started for it; None where DHCP stays silent."""
        return _LOADER.get(self)


_LOADER = {
    Rung.IPXE_EXIT: LoaderName.IPXE,
    Rung.SANBOOT: LoaderName.IPXE,
    Rung.LOCALBOOT: LoaderName.PXELINUX,
    Rung.GRUB_CHAIN: LoaderName.GRUB,
    Rung.GRUB_CONFIG: LoaderName.GRUB,
}
# Whose loaders are looked for on an ESP, each in a folder of its own. \EFI\BOOT comes last: a
# vendor's fallback program there may write boot entries, and restart the machine.
VENDORS = ("debian", "ubuntu")


def ladder(firmware: Firmware, secure_boot: str) -> tuple[Rung, ...]:
    """The rungs for this firmware, first to last.

    BOOT_ORDER is none of them: only an installation can do that, and DHCP has no part in it.

    :param secure_boot: `on`, `off`, or "" where it is not known. iPXE is unsigned: it is no rung
        unless Secure Boot is known to be off. Ours is none for ARM64.
    """
    ipxe = (Rung.IPXE_EXIT, Rung.SANBOOT)
    grub = (Rung.GRUB_CHAIN, Rung.GRUB_CONFIG)
    if not firmware.uefi:
        return (Rung.SILENCE, *ipxe, Rung.LOCALBOOT)
    ours = firmware.architecture is Architecture.AMD64
    if firmware.ipxe:
        return (Rung.SILENCE, *(ipxe if ours or firmware.transport is Transport.HTTP else ()))
    if ours and secure_boot == "off":
        return (Rung.SILENCE, *ipxe, *grub)
    return (Rung.SILENCE, *grub)


def after(rung: Rung, firmware: Firmware, secure_boot: str) -> Rung | None:
    """The next rung, or None at the end of the ladder."""
    rungs = ladder(firmware, secure_boot)
    place = rungs.index(rung) if rung in rungs else 0
    return rungs[place + 1] if place + 1 < len(rungs) else None
