"""GRUB behind shim, both signed, from Debian 13: for every UEFI machine, Secure Boot or not.

GRUB 2.12's network image asks for `/grub/grub.cfg` only (its memory disk says so), so that file,
the same for all, sends each machine on to its own by the MAC address.
"""

from __future__ import annotations

from dataclasses import dataclass

from ironwake import routes
from ironwake.boot import KernelBoot
from ironwake.firmware import Architecture, Firmware, Transport
from ironwake.localboot import Rung
from ironwake.mac import Mac
from ironwake.site import Site

_SHIM = {Architecture.AMD64: "sb/shimx64.efi", Architecture.ARM64: "sb/shimaa64.efi"}


@dataclass(frozen=True)
class Grub:
    name: str = "grub"
    script_name: str = "grub.cfg"

    def serves(self, firmware: Firmware) -> bool:
        return firmware.uefi and not firmware.ipxe

    def role(self, firmware: Firmware) -> str:
        return _SHIM[firmware.architecture]

    def first_file(self, firmware: Firmware, mac: Mac, site: Site) -> str:  # noqa: ARG002 (a `Loader`)
        shim = self.role(firmware)
        return f"{site.url}/{shim}" if firmware.transport is Transport.HTTP else shim

    def boot_script(self, boot: KernelBoot, site: Site) -> str:
        at = f"(http,{site.authority})"
        return (
            f'echo "{boot.title}"\n'
            f"linux {at}/{routes.artifact(boot.kernel)} {' '.join(boot.arguments)}\n"
            f"initrd {at}/{routes.artifact(boot.initrd)}\n"
            "boot\n"
        )

    def local_script(self, reason: str, rung: Rung) -> str:  # noqa: ARG002 (a `Loader`)
        # `exit` opens OVMF's setup menu and chainloading the disk's shim fails under Secure Boot;
        # the disk's own configuration, run in this GRUB, is what reaches the disk.
        return (
            f'echo "Ironwake: {reason}; booting the local disk"\n'
            "for vendor in debian ubuntu; do\n"
            "  if search --no-floppy --file --set=root /EFI/$vendor/grub.cfg; then\n"
            "    set prefix=($root)/EFI/$vendor\n"
            "    configfile ($root)/EFI/$vendor/grub.cfg\n"
            "  fi\n"
            "done\n"
            "exit 1\n"
        )


LOADER = Grub()


def common_config(site: Site) -> str:
    """`/grub/grub.cfg`, by TFTP and by HTTP.

    The address is written out: `$net_default_server` has the port in it after HTTP Boot with one.
    """
    return (
        "set timeout=0\n"
        f"source (http,{site.authority})/boot/${{net_default_mac}}/{LOADER.script_name}\n"
    )
