"""Boot loaders: each says for which firmware it is, and writes scripts in its own language."""

from __future__ import annotations

from ironwake.firmware import Firmware
from ironwake.loaders import grub, ipxe, pxelinux
from ironwake.loaders.base import Loader
from ironwake.localboot import LoaderName

# In this order: the signed chain for UEFI, iPXE for the rest, pxelinux where it is pinned.
LOADERS: tuple[Loader, ...] = (grub.LOADER, ipxe.LOADER, pxelinux.LOADER)
BY_NAME: dict[LoaderName, Loader] = {loader.name: loader for loader in LOADERS}
BY_SCRIPT: dict[str, Loader] = {loader.script_name: loader for loader in LOADERS}


def for_firmware(firmware: Firmware) -> Loader | None:
    """What this firmware usually gets: the first loader that serves it."""
    return next((row for row in LOADERS if row.serves(firmware)), None)
