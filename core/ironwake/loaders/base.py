"""What every loader can do."""

from __future__ import annotations

from typing import Protocol

from ironwake.boot import Form, KernelBoot
from ironwake.firmware import Firmware
from ironwake.localboot import LoaderName, Rung
from ironwake.mac import Mac
from ironwake.site import Site


class Loader(Protocol):
    """`script_name` is the last part of the per-machine script's path."""

    @property
    def name(self) -> LoaderName: ...

    @property
    def script_name(self) -> str: ...

    def serves(self, firmware: Firmware) -> bool:
        """Whether that firmware can start this loader, or is it already."""

    def role(self, firmware: Firmware) -> str:
        """The loader's own file in the manifest `loaders`; "" where the firmware needs none."""

    def first_file(self, firmware: Firmware, mac: Mac, site: Site) -> str:
        """What DHCP names: a TFTP path without a leading slash, or a URL."""

    def starts(self, form: Form) -> bool:
        """Whether it can start a kernel of that form."""

    def boot_script(self, boot: KernelBoot, site: Site) -> str:
        """Start that kernel, which it can."""

    def local_script(self, reason: str, rung: Rung) -> str:
        """Boot the local disk, saying why; by this rung where it is one of this loader's."""
