"""iPXE: for BIOS machines, for whatever is iPXE already, and for UEFI without Secure Boot."""

from __future__ import annotations

from dataclasses import dataclass

from ironwake import routes
from ironwake.boot import KernelBoot
from ironwake.firmware import Architecture, Firmware, Transport
from ironwake.localboot import VENDORS, LoaderName, Rung
from ironwake.mac import Mac
from ironwake.site import Site


@dataclass(frozen=True)
class Ipxe:
    name: LoaderName = LoaderName.IPXE
    script_name: str = "boot.ipxe"

    def serves(self, firmware: Firmware) -> bool:
        return _takes_script(firmware) or firmware.architecture is Architecture.AMD64

    def role(self, firmware: Firmware) -> str:
        if _takes_script(firmware):
            return ""
        return "ipxe/snponly.efi" if firmware.uefi else "ipxe/undionly.kpxe"

    def first_file(self, firmware: Firmware, mac: Mac, site: Site) -> str:
        # A client that is iPXE and can take a script never gets iPXE again: the ROM and
        # undionly.kpxe send the same options, and would load each other for ever.
        if _takes_script(firmware):
            return f"{site.url}/{routes.boot_script(mac, self.script_name)}"
        role = self.role(firmware)
        return f"{site.url}/{role}" if firmware.transport is Transport.HTTP else role

    def boot_script(self, boot: KernelBoot, site: Site) -> str:
        kernel = f"{site.url}/{routes.artifact(boot.kernel)}"
        initrd = f"{site.url}/{routes.artifact(boot.initrd)}"
        # Absolute URLs: behind a foreign DHCP server ${next-server} is that server's address.
        # initrd=: the kernel's EFI stub finds the ramdisk by this name only.
        return (
            "#!ipxe\n"
            f"echo {boot.title}\n"
            f"kernel {kernel} initrd=initrd {' '.join(boot.arguments)} || goto failed\n"
            f"initrd --name initrd {initrd} || goto failed\n"
            "boot || goto failed\n"
            ":failed\n"
            "echo Ironwake: the kernel could not be started; booting the local disk\n"
            "exit 1\n"
        )

    def local_script(self, reason: str, rung: Rung) -> str:
        lines = ["#!ipxe", f"echo Ironwake: {reason}; booting the local disk"]
        # `exit 1`, not `exit`: edk2 opens its setup menu when a boot option returns success.
        # SeaBIOS goes on after both.
        return "\n".join((*lines, *(_SANBOOT if rung is Rung.SANBOOT else ()), "exit 1", ""))


# BIOS: the first disk's boot sector. UEFI: the vendors' loaders for this processor, then \EFI\BOOT,
# which is what `sanboot` starts without a name. iPXE of 2025 does it; as option ROM of 2019 under
# UEFI, it finds no disk ("No such device"), and `exit 1` follows.
_SANBOOT = (
    "iseq ${platform} efi && goto efi ||",
    "sanboot --no-describe --drive 0x80 ||",
    "goto next",
    ":efi",
    "iseq ${buildarch} arm64 && set cpu aa64 || set cpu x64",
    *(
        f"sanboot --no-describe --drive 0 --filename \\EFI\\{vendor}\\shim${{cpu}}.efi ||"
        for vendor in VENDORS
    ),
    "sanboot --no-describe --drive 0 ||",
    ":next",
)


def _takes_script(firmware: Firmware) -> bool:
    return firmware.ipxe and firmware.transport is Transport.HTTP


LOADER = Ipxe()
