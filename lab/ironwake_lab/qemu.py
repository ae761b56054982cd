"""The QEMU command line of one machine. Pure: a description in, words out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ironwake_lab.firmware import FIRMWARE, Firmware
from ironwake_lab.spec import MachineSpec

# A socket's name is relative to the directory that QEMU starts in: addresses hold 108 bytes only.
SERIAL_SOCKET = "serial.sock"
QMP_SOCKET = "qmp.sock"
TPM_SOCKET = "tpm.sock"
# Fixed, because the boot options in a UEFI machine's NVRAM name it: the first card's, and the
# others follow.
NIC_SLOT = 2


def link_of(card: int) -> str:
    """QEMU's name of a card's cable."""
    return f"net{card}"


@dataclass(frozen=True)
class Paths:
    """Where a machine keeps its things. All absolute."""

    directory: Path
    disk: Path

    def disks(self, count: int) -> list[Path]:
        """All of them, the first one first."""
        more = [self.disk.with_name(f"{self.disk.name}-{n}") for n in range(2, count + 1)]
        return [self.disk, *more]

    @property
    def variables(self) -> Path:
        return self.directory / "nvram.fd"

    @property
    def board(self) -> Path:
        """Holds the UUID of a board that was put in later."""
        return self.directory / "board"

    @property
    def serial_log(self) -> Path:
        return self.directory / "serial.log"

    @property
    def pid(self) -> Path:
        return self.directory / "pid"

    @property
    def qmp(self) -> Path:
        return self.directory / QMP_SOCKET

    @property
    def serial(self) -> Path:
        return self.directory / SERIAL_SOCKET

    @property
    def tpm(self) -> Path:
        """What its TPM keeps."""
        return self.directory / "tpm"

    @property
    def tpm_pid(self) -> Path:
        return self.directory / "tpm.pid"


def command_line(spec: MachineSpec, paths: Paths, taps: Sequence[str]) -> list[str]:
    """Words that start the machine in the background, with a tap for each card.

    It is paused at first where a card has no cable, for `link_of` can only be taken down by QMP.
    To be run in `paths.directory` and in the rack's namespace. QEMU comes back once its sockets
    listen, or with its complaint; a guest that resets itself stays in the same process.
    """
    firmware = FIRMWARE[spec.firmware]
    return [
        firmware.qemu,
        *("-name", spec.name, "-daemonize", "-pidfile", str(paths.pid)),
        # Emulation: KVM's presence does not mean that it boots guests, and OVMF's Secure Boot
        # build needs SMM. The translation cache of 256 MB stops kernel boots from flushing it.
        *("-accel", "tcg,thread=multi,tb-size=256"),
        *("-cpu", firmware.cpu, "-smp", str(spec.cpus), "-m", str(spec.memory_mb)),
        *("-machine", firmware.machine, "-nodefaults", "-no-user-config", "-display", "none"),
        *_identity(spec),
        *_firmware(spec, firmware, paths),
        *_network(spec, firmware, taps),
        *_disks(spec, firmware, paths),
        *_lines(paths),
        *(_TPM if spec.tpm else ()),
        *("-device", "virtio-rng-pci"),
    ]


_TPM = (
    *("-chardev", f"socket,id=tpm0,path={TPM_SOCKET}"),
    *("-tpmdev", "emulator,id=tpm0,chardev=tpm0", "-device", "tpm-crb,tpmdev=tpm0"),
)


def _escaped(path: Path) -> str:
    return str(path).replace(",", ",,")


def _identity(spec: MachineSpec) -> list[str]:
    smbios = f"type=1,manufacturer=Ironwake,product=Lab machine,serial={spec.serial}"
    return ["-uuid", spec.uuid, "-smbios", smbios]


def _firmware(spec: MachineSpec, firmware: Firmware, paths: Paths) -> list[str]:
    words = list(firmware.arguments)
    if firmware.code:
        code = f"if=pflash,unit=0,format=raw,readonly=on,file={_escaped(firmware.code)}"
        nvram = f"if=pflash,unit=1,format=raw,file={_escaped(paths.variables)}"
        words += ["-drive", code, "-drive", nvram]
    left_out = ["IPv6PXESupport"] * (not spec.ipv6_pxe)
    left_out += ["IPv4PXESupport"] * (spec.network_boot == "http")
    for setting in left_out if firmware.uefi else ():
        words += ["-fw_cfg", f"name=opt/org.tianocore/{setting},string=n"]
    return words


def _network(spec: MachineSpec, firmware: Firmware, taps: Sequence[str]) -> list[str]:
    words = [] if all(card.cabled for card in spec.cards) else ["-S"]
    first = 2 if spec.disk_first else 1
    for number, (card, tap) in enumerate(zip(spec.cards, taps, strict=True)):
        backend = f"tap,id={link_of(number)},ifname={tap},script=no,downscript=no"
        device = ["virtio-net-pci", f"netdev={link_of(number)}", f"mac={card.mac}"]
        device += [f"addr={NIC_SLOT + number:#x}", *_boot_place(firmware, first + number)]
        device += [firmware.nic] if firmware.nic else []
        words += ["-netdev", backend, "-device", ",".join(device)]
    return words


def _disks(spec: MachineSpec, firmware: Firmware, paths: Paths) -> list[str]:
    first = 1 if spec.disk_first else 1 + len(spec.cards)
    words = []
    for number, (path, (serial, _)) in enumerate(
        zip(paths.disks(len(spec.disks)), spec.disks, strict=True)
    ):
        # cache=unsafe: no flush reaches the host's disk; the machine's life ends with the host's.
        drive = f"if=none,id=disk{number},format=raw,cache=unsafe,discard=unmap"
        device = ["virtio-blk-pci", f"drive=disk{number}", f"serial={serial}"]
        device += _boot_place(firmware, first) if not number else []
        words += ["-drive", f"{drive},file={_escaped(path)}", "-device", ",".join(device)]
    return words


def _boot_place(firmware: Firmware, place: int) -> list[str]:
    # UEFI keeps its boot order in NVRAM: `nvram.py` tells why.
    return [] if firmware.uefi else [f"bootindex={place}"]


def _lines(paths: Paths) -> list[str]:
    log = f"logfile={_escaped(paths.serial_log)},logappend=on"
    return [
        *("-chardev", f"socket,id=serial0,path={SERIAL_SOCKET},server=on,wait=off,{log}"),
        *("-serial", "chardev:serial0"),
        *("-qmp", f"unix:{QMP_SOCKET},server=on,wait=off"),
    ]
