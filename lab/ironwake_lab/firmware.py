"""Kinds of real firmware: which files, which package, which QEMU arguments. One row each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ironwake.firmware import Architecture

_OVMF = Path("/usr/share/OVMF")
_AAVMF = Path("/usr/share/AAVMF")


@dataclass(frozen=True)
class Firmware:
    """One kind of firmware.

    `code` is mapped read-only and shared; `variables` is the template of which each machine gets
    its own copy (its NVRAM). `nic` is added to the network card's properties; empty, the card has
    QEMU's option ROM, which is iPXE. Without `keys`, those that the template has enrolled are taken
    out: Secure Boot is off.
    """

    name: str
    package: str
    machine: str
    nic: str
    code: Path | None = None
    variables: Path | None = None
    arguments: tuple[str, ...] = ()
    architecture: Architecture = Architecture.AMD64
    keys: bool = True
    qemu: str = "qemu-system-x86_64"
    qemu_package: str = "qemu-system-x86"
    # `max`, because current distributions want x86-64-v2; without five-level page tables, whose
    # walks are slower in software.
    cpu: str = "max,la57=off"

    @property
    def uefi(self) -> bool:
        """Whether it is UEFI: it has NVRAM, and knows OVMF's fw_cfg settings."""
        return self.variables is not None

    @property
    def files(self) -> tuple[Path, ...]:
        """What must exist on this host."""
        return tuple(path for path in (self.code, self.variables) if path)


# An empty `romfile=` keeps QEMU's iPXE ROM out of a UEFI machine, so that edk2's own PXE speaks,
# as on most real machines: with the ROM (`uefi-ipxe`), iPXE takes over before edk2 sends a packet.
FIRMWARE: dict[str, Firmware] = {
    row.name: row
    for row in (
        Firmware(
            "uefi",
            "ovmf",
            "q35",
            "romfile=",
            _OVMF / "OVMF_CODE_4M.fd",
            _OVMF / "OVMF_VARS_4M.fd",
        ),
        Firmware(
            "uefi-ipxe",
            "ovmf",
            "q35",
            "",
            _OVMF / "OVMF_CODE_4M.fd",
            _OVMF / "OVMF_VARS_4M.fd",
        ),
        Firmware(
            "uefi-secureboot",
            "ovmf",
            # Without SMM the guest could write the NVRAM behind the firmware's back: OVMF's Secure
            # Boot build refuses to start.
            "q35,smm=on",
            "romfile=",
            _OVMF / "OVMF_CODE_4M.ms.fd",
            _OVMF / "OVMF_VARS_4M.ms.fd",
            (
                "-global",
                "driver=cfi.pflash01,property=secure,value=on",
                # S3 resume needs a boot script that the Secure Boot build keeps in SMM; unused.
                "-global",
                "ICH9-LPC.disable_s3=1",
            ),
        ),
        # graphics=off makes SeaBIOS and iPXE speak on the serial line.
        Firmware("bios", "seabios", "pc,graphics=off", ""),
        *(
            Firmware(
                name,
                "qemu-efi-aarch64",
                "virt",
                "romfile=",
                _AAVMF / "AAVMF_CODE.fd",
                # The package's other template is all zeros, which is no variable store yet.
                _AAVMF / "AAVMF_VARS.ms.fd",
                architecture=Architecture.ARM64,
                keys=keys,
                qemu="qemu-system-aarch64",
                qemu_package="qemu-system-arm",
                # `max` signs its pointers, which costs most of the time in software.
                cpu="cortex-a72",
            )
            for name, keys in (("arm64", False), ("arm64-secureboot", True))
        ),
    )
}
