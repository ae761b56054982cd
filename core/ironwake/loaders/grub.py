"""GRUB behind shim, both signed, from Debian 13: for every UEFI machine, Secure Boot or not.

GRUB 2.12's network image asks for `/grub/grub.cfg` only (its memory disk says so), so that file,
the same for all, sends each machine on to its own by the MAC address.
"""

from __future__ import annotations

from dataclasses import dataclass

from ironwake import routes
from ironwake.boot import Form, KernelBoot
from ironwake.firmware import Architecture, Firmware, Transport
from ironwake.localboot import VENDORS, LoaderName, Rung
from ironwake.mac import Mac
from ironwake.site import Site

_SHIM = {Architecture.AMD64: "sb/shimx64.efi", Architecture.ARM64: "sb/shimaa64.efi"}


@dataclass(frozen=True)
class Grub:
    name: LoaderName = LoaderName.GRUB
    script_name: str = "grub.cfg"

    def serves(self, firmware: Firmware) -> bool:
        return firmware.uefi and not firmware.ipxe

    def role(self, firmware: Firmware) -> str:
        return _SHIM[firmware.architecture]

    def first_file(self, firmware: Firmware, mac: Mac, site: Site) -> str:  # noqa: ARG002 (a `Loader`)
        shim = self.role(firmware)
        return f"{site.url}/{shim}" if firmware.transport is Transport.HTTP else shim

    def starts(self, form: Form) -> bool:
        return form is Form.LINUX

    def boot_script(self, boot: KernelBoot, site: Site) -> str:
        at = f"(http,{site.authority})"
        return (
            f'echo "{boot.title}"\n'
            f"linux {at}/{routes.artifact(boot.kernel)} {' '.join(map(_word, boot.arguments))}\n"
            f"initrd {' '.join(f'{at}/{one.path}' for one in boot.initrds)}\n"
            "boot\n"
        )

    def local_script(self, reason: str, rung: Rung) -> str:
        chain = "" if rung is Rung.GRUB_CONFIG else _CHAIN
        # `exit 1` is the last resort: edk2 (2022) opens its setup menu then, other firmware goes on
        # to its next boot option.
        return f'echo "Ironwake: {reason}; booting the local disk"\n{chain}{_CONFIG}exit 1\n'


# The loader that is on the disk, with all that it can do. `--set=root` matters: GRUB tells the
# program that it was loaded from there, and shim looks there for its second stage. With another
# variable, root is the network card, and shim fails ("Failed to find fs"). Seen on edk2 of 2022
# with Secure Boot off and on; a loader that fails comes back, and the next one is tried.
_CHAIN = f"""\
set cpu=x64
if [ "$grub_cpu" = arm64 ]; then set cpu=aa64; fi
for loader in {" ".join(f"{vendor}/shim$cpu.efi" for vendor in VENDORS)} \\
    Microsoft/Boot/bootmgfw.efi BOOT/BOOT$cpu.EFI; do
  if search --no-floppy --file --set=root /EFI/$loader; then
    chainloader ($root)/EFI/$loader
    boot
  fi
done
"""
# The disk's configuration in this GRUB, which has no LVM, RAID and encryption. It comes back where
# it finds nothing to boot; it can't lead back here, for `prefix` is on the disk then.
_CONFIG = f"""\
for vendor in {" ".join(VENDORS)}; do
  if search --no-floppy --file --set=root /EFI/$vendor/grub.cfg; then
    set prefix=($root)/EFI/$vendor
    configfile ($root)/EFI/$vendor/grub.cfg
  fi
done
"""


def _word(argument: str) -> str:
    """As GRUB's shell takes it for one word: a semicolon would end the command, an ampersand is a
    mistake of grammar, and there are patterns for files' names.
    """
    return f"'{argument}'" if set(argument) & set(";&*?[") else argument


LOADER = Grub()


# Seconds between one try and the next; some of GRUB's own follow each. Together about what a
# service or a laptop needs to come back.
_PAUSES = (1, 2, 5, 10, 20)


def common_config(site: Site) -> str:
    """`/grub/grub.cfg`, by TFTP and by HTTP: to the machine's own, again when that did not come.

    GRUB would stop at its prompt for good. What the machine's own script starts does not return;
    what failed in it is tried again with it. The address is written out: `$net_default_server` has
    the port in it after HTTP Boot with one.
    """
    return (
        "set timeout=0\n"
        f"for pause in {' '.join(map(str, _PAUSES))}; do\n"
        f"  source (http,{site.authority})/boot/${{net_default_mac}}/{LOADER.script_name}\n"
        f'  echo "Ironwake: no script from http://{site.authority}; asking again in $pause s"\n'
        "  sleep $pause\n"
        "done\n"
        f'echo "Ironwake: gave up on http://{site.authority}; leaving the network"\n'
        "exit 1\n"
    )
