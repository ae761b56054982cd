"""iPXE: for BIOS machines, and for whatever is iPXE already."""

from __future__ import annotations

from dataclasses import dataclass

from ironwake import routes
from ironwake.boot import KernelBoot
from ironwake.firmware import Firmware
from ironwake.mac import Mac
from ironwake.site import Site


@dataclass(frozen=True)
class Ipxe:
    name: str = "ipxe"
    script_name: str = "boot.ipxe"

    def serves(self, firmware: Firmware) -> bool:
        return firmware.ipxe or not firmware.uefi

    def role(self, firmware: Firmware) -> str:
        return "" if firmware.ipxe else "ipxe/undionly.kpxe"

    def first_file(self, firmware: Firmware, mac: Mac, site: Site) -> str:
        # A client that is iPXE always gets a script, never iPXE again: the ROM and undionly.kpxe
        # send the same options, and would load each other for ever.
        if firmware.ipxe:
            return f"{site.url}/{routes.boot_script(mac, self.script_name)}"
        return self.role(firmware)

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

    def local_script(self, reason: str) -> str:
        # `exit 1`, not `exit`: edk2 opens its setup menu when a boot option returns success.
        return f"#!ipxe\necho Ironwake: {reason}; booting the local disk\nexit 1\n"


LOADER = Ipxe()
