"""Layouts as people write them, and disks to put them on."""

from __future__ import annotations

from collections.abc import Sequence

from ironwake.disk import Disk
from ironwake.layout.identity import Identity
from ironwake.layout.model import Layout
from ironwake.layout.work import Target
from ironwake_runtime import yamlfile

GIB = 1 << 30
ONE = Disk("/dev/vda", 20 * GIB, serial="S1", transport="virtio")
TWO = Disk("/dev/vdb", 20 * GIB, serial="S2", transport="virtio")

PLAIN = """
disks:
  - name: only
    partitions:
      - {name: esp, role: esp, size: 256MiB}
      - {name: grub, role: bios-boot, size: 1MiB}
      - {name: root, format: ext4, mount: /}
"""

MIRRORED = """
disks:
  - name: first
    match: S1
    partitions:
      - {name: esp, role: esp, size: 256MiB}
      - {name: grub, role: bios-boot, size: 1MiB}
      - {name: boot, size: 1GiB, format: ext4, mount: /boot}
      - {name: system}
  - name: second
    match: S2
    partitions:
      - {name: esp2, role: esp, size: 256MiB}
      - {name: grub2, role: bios-boot, size: 1MiB}
      - {name: spare, size: 1GiB}
      - {name: system}
arrays:
  - {name: both, level: 1, of: [first/system, second/system]}
groups:
  - name: vg0
    of: [both]
    volumes:
      - {name: root, size: 4GiB, encrypt: {key: passphrase}, format: ext4, mount: /}
      - {name: swap, size: 1GiB, format: swap}
      - {name: half, size: 25%, format: xfs, mount: /var}
      - {name: data, format: btrfs, subvolumes: {srv: /srv, "@home": /home}}
      - {name: more, format: vfat, mount: /mnt/more}
"""


def layout(text: str) -> Layout:
    """A layout from its YAML."""
    return yamlfile.parse(Layout, text.encode())


def target(
    disks: Sequence[Disk] = (ONE, TWO), *, uefi: bool = True, erase: Sequence[str] = ()
) -> Target:
    return Target(tuple(disks), uefi, "x86_64", Identity("d1"), tuple(erase))
