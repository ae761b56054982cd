"""Which kernel modules the deploy ramdisk carries: what reaches a disk, a network, a keyboard.

Modules are unpacked (.ko.xz → .ko): the initramfs is compressed as a whole, and busybox then loads
them without an xz decoder. The signature is part of the .ko, so Secure Boot accepts them as before.
"""

from __future__ import annotations

import lzma
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ironwake.firmware import Architecture
from ironwake_ramdisk.userland import in_root


@dataclass(frozen=True, slots=True)
class Flavour:
    """One kind of ramdisk.

    :ivar kernel: Debian's meta package, without the architecture at its end
    :ivar modules: regular expressions of wanted paths below `kernel/`, without `.ko`; what they
        depend on comes along
    :ivar later: the same, of modules that the second part of the ramdisk brings
    :ivar arm64: more of `modules`, on that architecture
    """

    name: str
    kernel: str
    modules: tuple[str, ...]
    later: tuple[str, ...]
    title: str
    arm64: tuple[str, ...] = ()

    def wanted(self, architecture: Architecture) -> Wanted:
        """The expressions for one architecture."""
        first = self.modules + (self.arm64 if architecture is Architecture.ARM64 else ())
        return first, self.later


Wanted = tuple[tuple[str, ...], tuple[str, ...]]
"""What the first part of the ramdisk shall have, and what the second."""

Places = tuple[Path, Path]
"""The same: where they are put."""


# No device asks for these: layouts and images do, by their programs, which come with them.
_LATER = (
    r"fs/(xfs|btrfs|squashfs|overlayfs|isofs|udf)/.*",
    r"drivers/block/zram/zram",
    r"drivers/md/(dm-mod|dm-crypt|dm-snapshot|dm-thin-pool|dm-raid|raid0|raid1|raid10|raid456)",
    r"drivers/nvme/host/nvme-(fabrics|fc|rdma|tcp)",
    r"crypto/(xts|af_alg|algif_skcipher)",
)

_FILE_SYSTEMS = (
    r"fs/(ext4|fat|efivarfs)/.*",
    r"fs/nls/nls_(cp437|ascii|iso8859-1|utf8)",
    r"drivers/block/(loop|virtio_blk|xen-blkfront)",
    r"crypto/crc32c_generic",
    # without the processor's own AES, encrypted volumes are ten times slower
    r"arch/x86/crypto/aesni-intel",
    r"arch/arm64/crypto/aes-ce-.*",
    r"lib/.*crc.*",
    # 802.3ad and VLANs are how servers are cabled
    r"drivers/net/bonding/.*",
    r"net/8021q/.*",
    r"net/packet/.*",
)

_VIRTUAL = (
    r"drivers/virtio/.*",
    r"drivers/net/(virtio_net|net_failover|vmxnet3/.*|xen-netfront|hyperv/.*|macvlan|dummy)",
    r"drivers/net/ethernet/(amazon|google|microsoft|intel/e1000|intel/e1000e|realtek/8139cp)/.*",
    r"drivers/scsi/(virtio_scsi|vmw_pvscsi|hv_storvsc|sd_mod|sr_mod|sg|xen-scsifront)",
    r"drivers/ata/.*",
    r"drivers/nvme/host/nvme(-core)?",
    r"drivers/hv/.*",
    r"drivers/char/hw_random/virtio-rng",
    r"drivers/firmware/.*",
)

_HARDWARE = (
    r"drivers/net/ethernet/.*",
    r"drivers/net/(phy|pcs|mdio|usb|fjes|thunderbolt)/.*",
    r"drivers/net/(mii|mdio)",
    r"drivers/(ata|scsi|message/fusion|nvdimm|ufs)/.*",
    r"drivers/nvme/(common/.*|host/nvme(-core|-apple)?)",
    r"drivers/scsi/.*",
    r"drivers/mmc/(core|host)/.*",
    r"drivers/usb/(storage|host|common|core|typec/ucsi)/.*",
    r"drivers/hid/(hid|hid-generic|usbhid/.*|i2c-hid/.*|hid-apple|hid-microsoft|hid-logitech.*)",
    r"drivers/input/keyboard/.*",
    r"drivers/input/serio/.*",
    r"drivers/(pci/controller|pci/hotplug|dca|thunderbolt|edac|ipmi|char/ipmi)/.*",
    r"drivers/char/(tpm|hw_random)/.*",
    r"drivers/(dax|block/mtip32xx|block/rnbd|block/nvme)/.*",
    r"drivers/misc/(mei/.*|enclosure|cb710/.*|cardreader/.*)",
    r"drivers/hwmon/(coretemp|k10temp)",
    r"drivers/(i2c|pinctrl|gpio)/.*(intel|amd|designware).*",
)

# Boards that are described by a device tree: nothing on them works without its clock, its power and
# its pins, and Debian's kernel has many of those as modules.
_BOARDS = (
    r"drivers/(bus|clk|extcon|firmware|gpio|interconnect|iommu|mailbox|mfd|nvmem|phy|pinctrl)/.*",
    r"drivers/(pmdomain|power/(reset|sequencing)|regulator|reset|soc|spi)/.*",
    r"drivers/i2c/busses/.*",
    r"drivers/usb/(chipidea|dwc2|dwc3|isp1760|mtu3|musb|phy|roles)/.*",
)

FLAVOURS = {
    flavour.name: flavour
    for flavour in (
        Flavour(
            "generic",
            "linux-image",
            (*_FILE_SYSTEMS, *_VIRTUAL, *_HARDWARE),
            _LATER,
            "deploy ramdisk for real hardware",
            _BOARDS,
        ),
        Flavour(
            "cloud",
            "linux-image-cloud",
            (*_FILE_SYSTEMS, *_VIRTUAL),
            _LATER,
            "deploy ramdisk for virtual machines, smaller",
        ),
    )
}


def assemble(bench: Path, toolbox: Path, release: str, wanted: Wanted, places: Places) -> int:
    """Copy modules of one kernel from the toolbox into two folders.

    The first has the lists of all: what is not there yet is then found where it will be.

    :param bench: all stand inside it
    :param release: as `uname -r` would say
    :returns: how many modules were taken
    """
    target, later = places
    folder = f"usr/lib/modules/{release}"
    _unpack_modules(toolbox / folder)
    _depmod(bench, toolbox / "usr", release)
    dependencies = read_dependencies((toolbox / folder / "modules.dep").read_text())
    first, second = (select(dependencies, patterns) for patterns in wanted)
    every = sorted({*first, *second})
    for module in every:
        destination = target / folder / module
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(toolbox / folder / module, destination)
    for name in ("modules.builtin", "modules.order", "modules.builtin.modinfo"):
        shutil.copyfile(toolbox / folder / name, target / folder / name)
    _depmod(bench, target / "usr", release)
    for path in (target / folder).glob("modules.*"):
        # the binary indexes are for kmod only, and busybox reads the texts
        if path.name not in _TEXTS:
            path.unlink()
    for module in set(every) - set(first):
        destination = later / folder / module
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(target / folder / module, destination)
    return len(every)


_TEXTS = ("modules.dep", "modules.alias", "modules.softdep", "modules.builtin")


def _depmod(bench: Path, root: Path, release: str) -> None:
    """Write modules.dep and its like below `root`/lib/modules."""
    inside = f"/{root.relative_to(bench).as_posix()}"
    in_root(bench, "/usr/sbin/depmod", "-b", inside, release)


def read_dependencies(text: str) -> dict[str, tuple[str, ...]]:
    """Read modules.dep: `path: path…` relative to the kernel's folder."""
    lines = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: tuple(needs.split()) for name, needs in lines}


def select(dependencies: dict[str, tuple[str, ...]], patterns: tuple[str, ...]) -> list[str]:
    """Give the modules that match a pattern and all that they depend on, sorted.

    modules.dep is already transitive: each line names the whole chain.
    """
    one = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
    chosen = {
        name
        for name in dependencies
        if one.fullmatch(name.removeprefix("kernel/").removesuffix(".ko"))
    }
    return sorted(chosen | {need for name in chosen for need in dependencies[name]})


def _unpack_modules(folder: Path) -> None:
    for path in sorted(folder.rglob("*.ko.xz")):
        path.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
        path.unlink()
