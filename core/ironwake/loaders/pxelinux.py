"""pxelinux for BIOS machines whose card will not start iPXE: only where a person pins it.

lpxelinux.0 (Syslinux 6.04), which fetches kernel and ramdisk by HTTP. It takes the folder of its
configuration from the name under which DHCP named it, and asks there by TFTP: first for
`pxelinux.cfg/<UUID>`, which we have not, then for `pxelinux.cfg/01-<MAC>`, which we give.
"""

from __future__ import annotations

from dataclasses import dataclass

from ironwake import routes
from ironwake.boot import Form, KernelBoot
from ironwake.firmware import Architecture, Firmware
from ironwake.localboot import LoaderName, Rung
from ironwake.mac import Mac
from ironwake.site import Site

# -1 gives the BIOS its turn again (INT 18h), and it goes on with its boot order. 0 returns to the
# card's own boot program: from iPXE as option ROM, the disk came next as well (SeaBIOS 1.16.2).
_DISK = "ONERROR disk\nLABEL disk\n  LOCALBOOT -1\n"


@dataclass(frozen=True)
class Pxelinux:
    name: LoaderName = LoaderName.PXELINUX
    script_name: str = routes.PXELINUX_SCRIPT

    def serves(self, firmware: Firmware) -> bool:
        return not firmware.uefi and firmware.architecture is Architecture.AMD64

    def role(self, firmware: Firmware) -> str:  # noqa: ARG002 (a `Loader`)
        return f"{routes.PXELINUX_FOLDER}/lpxelinux.0"

    def first_file(self, firmware: Firmware, mac: Mac, site: Site) -> str:  # noqa: ARG002 (a `Loader`)
        # By TFTP also to an iPXE that speaks HTTP: lpxelinux.0 looks for its files where it came
        # from, and there its configuration is this machine's.
        return self.role(firmware)

    def starts(self, form: Form) -> bool:
        return form is Form.LINUX

    def boot_script(self, boot: KernelBoot, site: Site) -> str:
        return (
            f"SAY {boot.title}\n"
            "DEFAULT ironwake\n"
            "PROMPT 0\n"
            "LABEL ironwake\n"
            f"  KERNEL {site.url}/{routes.artifact(boot.kernel)}\n"
            f"  INITRD {','.join(f'{site.url}/{one.path}' for one in boot.initrds)}\n"
            f"  APPEND {' '.join(boot.arguments)}\n"
            f"{_DISK}"
        )

    def local_script(self, reason: str, rung: Rung) -> str:  # noqa: ARG002 (a `Loader`)
        return f"SAY Ironwake: {reason}; booting the local disk\nDEFAULT disk\nPROMPT 0\n{_DISK}"


LOADER = Pxelinux()
