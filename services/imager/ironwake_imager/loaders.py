"""The boot loaders that machines fetch first, taken out of Debian 13's packages.

UEFI starts Debian 13's shim and GRUB (2.12), with Secure Boot or without. Debian 12's signed GRUB
(2.06) takes its TFTP server from the foreign DHCP server's ACK and hangs; 2.12 does not. BIOS, and
firmware whose GRUB fails, start iPXE.

shim asks for `grubx64.efi` (`grubaa64.efi` on ARM64) in its own folder, so both are served below
one name; likewise lpxelinux.0 for its `ldlinux.c32`.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from ironwake.artifact import Manifest
from ironwake.firmware import Architecture
from ironwake_runtime.apt import AptError
from ironwake_runtime.builds import Product, Recipe, Versions, Workshop

SUITE = "trixie"
_A, _R = Architecture.AMD64, Architecture.ARM64


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a loader comes from: a package of that architecture, and the path inside it."""

    architecture: Architecture
    package: str
    path: str


# by served name
LOADERS: dict[str, Origin] = {
    "sb/shimx64.efi": Origin(_A, "shim-signed", "usr/lib/shim/shimx64.efi.signed"),
    "sb/grubx64.efi": Origin(
        _A, "grub-efi-amd64-signed", "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"
    ),
    "sb/mmx64.efi": Origin(_A, "shim-helpers-amd64-signed", "usr/lib/shim/mmx64.efi.signed"),
    "sb/shimaa64.efi": Origin(_R, "shim-signed", "usr/lib/shim/shimaa64.efi.signed"),
    "sb/grubaa64.efi": Origin(
        _R, "grub-efi-arm64-signed", "usr/lib/grub/arm64-efi-signed/grubnetaa64.efi.signed"
    ),
    "sb/mmaa64.efi": Origin(_R, "shim-helpers-arm64-signed", "usr/lib/shim/mmaa64.efi.signed"),
    "ipxe/undionly.kpxe": Origin(_A, "ipxe", "usr/lib/ipxe/undionly.kpxe"),
    "ipxe/ipxe.efi": Origin(_A, "ipxe", "usr/lib/ipxe/ipxe-amd64.efi"),
    "ipxe/snponly.efi": Origin(_A, "ipxe", "usr/lib/ipxe/snponly.efi"),
    # the one of the two that speaks HTTP, and all that it loads before its configuration
    "pxelinux/lpxelinux.0": Origin(_A, "pxelinux", "usr/lib/PXELINUX/lpxelinux.0"),
    "pxelinux/ldlinux.c32": Origin(
        _A, "syslinux-common", "usr/lib/syslinux/modules/bios/ldlinux.c32"
    ),
}


def build(shop: Workshop) -> Manifest:
    """Publish the manifest "loaders"; its roles are the names under which loaders are served.

    A mirror without ARM64 gives the loaders of AMD64 alone.
    """
    recipe = Recipe("loaders", "loaders", (Path(__file__),))

    def resolve() -> Versions:
        versions = _versions(shop, Architecture.AMD64)
        try:
            return versions | _versions(shop, Architecture.ARM64)
        except AptError as error:
            shop.progress("loaders", None, f"warning: no loaders for arm64: {error}")
            return versions

    def make(work: Path, versions: Versions) -> Product:
        shop.progress("loaders", None, f"downloading {len(versions)} packages")
        for architecture in Architecture:
            _unpack(shop, architecture, versions, work / architecture)
        files = {}
        for role, origin in LOADERS.items():
            if _key(origin.package, origin.architecture) in versions:
                # the name in the package differs; a person will look for the served name
                files[role] = work / "served" / role
                files[role].parent.mkdir(parents=True, exist_ok=True)
                inside = work / origin.architecture / origin.path
                inside.resolve(strict=True).rename(files[role])
        return Product(files, {f"version {name}": text for name, text in versions.items()})

    return shop.build(recipe, resolve, make)


def _key(package: str, architecture: Architecture) -> str:
    return f"{package}:{architecture}"  # as dpkg writes it


def _versions(shop: Workshop, architecture: Architecture) -> Versions:
    apt = shop.apt(SUITE, architecture)
    apt.update()
    rows = LOADERS.values()
    packages = {origin.package for origin in rows if origin.architecture is architecture}
    found = apt.resolve(packages, dependencies=False)
    return {_key(package, architecture): version for package, version in found.items()}


def _unpack(shop: Workshop, architecture: Architecture, versions: Versions, target: Path) -> None:
    target.mkdir()
    wanted = {
        key.removesuffix(f":{architecture}"): version
        for key, version in versions.items()
        if key.endswith(f":{architecture}")
    }
    if wanted:
        for deb in shop.apt(SUITE, architecture).download(wanted, shop.debs):
            subprocess.run(["dpkg-deb", "-x", deb, target], check=True)
