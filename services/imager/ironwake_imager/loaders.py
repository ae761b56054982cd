"""The boot loaders that machines fetch first, taken out of Debian 13's packages.

UEFI starts Debian 13's shim and GRUB (2.12), with Secure Boot or without. Debian 12's signed GRUB
(2.06) takes its TFTP server from the foreign DHCP server's ACK and hangs; 2.12 does not. BIOS, and
firmware whose GRUB fails, start iPXE.

shim asks for `grubx64.efi` in its own folder, so both are served below one name.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from ironwake.artifact import Manifest
from ironwake_runtime.builds import Product, Recipe, Versions, Workshop

SUITE = "trixie"

# served name → (package, path inside it)
LOADERS: dict[str, tuple[str, str]] = {
    "sb/shimx64.efi": ("shim-signed", "usr/lib/shim/shimx64.efi.signed"),
    "sb/grubx64.efi": (
        "grub-efi-amd64-signed",
        "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
    ),
    "sb/mmx64.efi": ("shim-helpers-amd64-signed", "usr/lib/shim/mmx64.efi.signed"),
    "ipxe/undionly.kpxe": ("ipxe", "usr/lib/ipxe/undionly.kpxe"),
    "ipxe/ipxe.efi": ("ipxe", "usr/lib/ipxe/ipxe-amd64.efi"),
    "ipxe/snponly.efi": ("ipxe", "usr/lib/ipxe/snponly.efi"),
}


def build(shop: Workshop) -> Manifest:
    """Publish the manifest "loaders"; its roles are the names under which loaders are served."""
    apt = shop.apt(SUITE)
    packages = {package for package, _ in LOADERS.values()}
    recipe = Recipe("loaders", "loaders", (Path(__file__),))

    def resolve() -> Versions:
        apt.update()
        return apt.resolve(packages, dependencies=False)

    def make(work: Path, versions: Versions) -> Product:
        shop.progress("loaders", None, f"downloading {len(versions)} packages")
        unpacked = work / "unpacked"
        unpacked.mkdir()
        for deb in apt.download(versions, shop.debs):
            subprocess.run(["dpkg-deb", "-x", deb, unpacked], check=True)
        files = {}
        for role, (_, inside) in LOADERS.items():
            # the name in the package differs; the served name is what a person will look for
            target = work / "served" / role
            target.parent.mkdir(parents=True, exist_ok=True)
            (unpacked / inside).resolve(strict=True).rename(target)
            files[role] = target
        return Product(files, {f"version {name}": text for name, text in versions.items()})

    return shop.build(recipe, resolve, make)
