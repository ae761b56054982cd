"""iPXE: for BIOS machines, for whatever is iPXE already, and for UEFI without Secure Boot."""

from __future__ import annotations

from dataclasses import dataclass

from ironwake import routes
from ironwake.boot import Form, KernelBoot, Named
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

    def starts(self, form: Form) -> bool:  # noqa: ARG002 (a `Loader`)
        return True

    def boot_script(self, boot: KernelBoot, site: Site) -> str:
        # Absolute URLs: behind a foreign DHCP server ${next-server} is that server's address.
        kernel = f"kernel {site.url}/{routes.artifact(boot.kernel)}"
        named = boot.initrds if boot.form is Form.LINUX else ()
        # initrd=: the kernel's EFI stub finds a ramdisk by its name only.
        words = (kernel, *(f"initrd={one.name}" for one in named), *boot.arguments)
        files = (_initrd(one, boot.form, site) for one in boot.initrds)
        return (
            "#!ipxe\n"
            f"echo {boot.title}\n"
            f"{' '.join(words)} || goto failed\n"
            f"{''.join(files)}"
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


def _initrd(one: Named, form: Form, site: Site) -> str:
    # wimboot has a file's name by `--name` under UEFI, and behind the URL with a BIOS, where iPXE
    # packs it into a cpio archive by it. Linux would take that archive for one of its own.
    name = f" {one.name}" if form is Form.WIMBOOT else ""
    return f"initrd --name {one.name} {site.url}/{one.path}{name} || goto failed\n"


def _takes_script(firmware: Firmware) -> bool:
    return firmware.ipxe and firmware.transport is Transport.HTTP


LOADER = Ipxe()
