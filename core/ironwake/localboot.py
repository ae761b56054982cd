"""The ladder to the local disk, for firmware that boots from the network first.

The first that works is enough, and is remembered for the machine. Silence is best: no loader runs,
nothing is fetched, and nothing can be wrong with it. The others are for firmware that does not go
on to its disk when nobody answers.

What was seen (edk2 of 2022, SeaBIOS 1.16, iPXE of 2019): edk2 opens its setup menu after GRUB's
`exit` and after iPXE's `exit 0`; chainloading the disk's shim from GRUB fails under Secure Boot,
for it looks for its second stage on the network card.
"""

from __future__ import annotations

from enum import StrEnum

from ironwake.firmware import Architecture, Firmware


class Rung(StrEnum):
    """One way to the disk."""

    SILENCE = "silence"  # DHCP says nothing; the firmware goes on by itself
    BOOT_ORDER = "boot-order"  # the agent has put the disk first; DHCP is silent all the same
    IPXE_EXIT = "ipxe-exit"  # iPXE returns an error, and the firmware goes on
    SANBOOT = "sanboot"  # iPXE starts the disk itself
    GRUB_CONFIG = "grub-config"  # the network's GRUB runs the disk's own configuration

    @property
    def loader(self) -> str:
        """The loader that must be started for it; "" where DHCP stays silent."""
        return _LOADER.get(self, "")


_LOADER = {Rung.IPXE_EXIT: "ipxe", Rung.SANBOOT: "ipxe", Rung.GRUB_CONFIG: "grub"}


def ladder(firmware: Firmware, secure_boot: str) -> tuple[Rung, ...]:
    """The rungs for this firmware, first to last.

    :param secure_boot: `on`, `off`, or "" where it is not known. iPXE is unsigned: it is no rung
        unless Secure Boot is known to be off. There is none for ARM64.
    """
    if not firmware.uefi or firmware.ipxe:
        return (Rung.SILENCE, Rung.IPXE_EXIT, Rung.SANBOOT)
    if secure_boot == "off" and firmware.architecture is Architecture.AMD64:
        return (Rung.SILENCE, Rung.GRUB_CONFIG, Rung.IPXE_EXIT, Rung.SANBOOT)
    return (Rung.SILENCE, Rung.GRUB_CONFIG)


def after(rung: Rung, firmware: Firmware, secure_boot: str) -> Rung | None:
    """The next rung, or None at the end of the ladder."""
    rungs = ladder(firmware, secure_boot)
    place = rungs.index(rung) if rung in rungs else 0
    return rungs[place + 1] if place + 1 < len(rungs) else None
