"""Boot loaders: each says for which firmware it is, and writes scripts in its own language."""

from __future__ import annotations

from ironwake.firmware import Firmware
from ironwake.loaders import grub, ipxe
from ironwake.loaders.base import Loader

LOADERS: tuple[Loader, ...] = (ipxe.LOADER, grub.LOADER)
BY_SCRIPT: dict[str, Loader] = {loader.script_name: loader for loader in LOADERS}


def for_firmware(firmware: Firmware) -> Loader | None:
    """The first loader with something for this firmware."""
    return next((row for row in LOADERS if row.serves(firmware)), None)
