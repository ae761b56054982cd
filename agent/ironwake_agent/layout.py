"""How the disk is divided. Pure: texts for sfdisk and names of devices."""

from __future__ import annotations

from dataclasses import dataclass

# The UEFI and Discoverable Partitions specifications' types, by number: by name, the same sfdisk
# calls differ between versions.
_ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
_LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
# by `uname -m`
_ROOTS = {
    "x86_64": "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
    "aarch64": "B921B045-1DF0-41C3-AF44-4C6F280D3FAE",
}

# orphan_file and metadata_csum_seed are newer than the e2fsck and the GRUB of the systems that we
# install: Debian 12's would call a file system of Debian 13's mke2fs "unknown".
EXT4_FEATURES = "^orphan_file,^metadata_csum_seed"


@dataclass(frozen=True)
class Layout:
    """`script` is sfdisk's input; `root` and `esp` are partition numbers."""

    script: str
    root: int
    esp: int | None


def layout(uefi: bool, machine: str) -> Layout:
    """GPT either way: an EFI system partition, or the partition GRUB puts its core into.

    :param machine: as `uname -m` says it
    """
    first = (
        f'size=256MiB, type={_ESP}, name="ESP"'
        if uefi
        else f'size=1MiB, type={_BIOS_BOOT}, name="BIOS boot"'
    )
    root = _ROOTS.get(machine, _LINUX)
    script = f'label: gpt\nfirst-lba: 2048\n{first}\ntype={root}, name="root"\n'
    return Layout(script, root=2, esp=1 if uefi else None)


def partition(disk: str, number: int) -> str:
    """A partition's device: `/dev/sda2`, but `/dev/nvme0n1p2` where the disk ends in a digit."""
    return f"{disk}{'p' if disk[-1].isdigit() else ''}{number}"
