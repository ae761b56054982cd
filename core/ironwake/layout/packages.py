"""Debian packages that an installed system needs for its layout, and for no other.

They are not in the root archive: every initrd would have their programs in it, and be twice as
large, and Python and ICU would come along.
"""

from __future__ import annotations

from ironwake.layout.model import Format, KeySource, Layout

_ARRAYS = ("mdadm",)
_GROUPS = ("lvm2",)
# Opens what is no part of the root; until Debian 12 it was part of systemd.
WHERE_THERE_IS_ONE = ("systemd-cryptsetup",)
# console-setup: a passphrase is typed on the keyboard that the profile names.
_SEALED = ("cryptsetup-initramfs", "console-setup", *WHERE_THERE_IS_ONE)
_TPM = ("clevis-initramfs", "clevis-systemd", "clevis-tpm2")
_FORMATS = {Format.BTRFS: ("btrfs-progs",), Format.XFS: ("xfsprogs",)}

ALL = (*_ARRAYS, *_GROUPS, *_SEALED, *_TPM, *(name for one in _FORMATS.values() for name in one))


def needed(layout: Layout) -> tuple[str, ...]:
    """Their names."""
    volumes = [volume for _, _, volume in layout.volumes()]
    keys = {volume.encrypt.key for volume in volumes if volume.encrypt}
    formats = {volume.format for volume in volumes}
    return (
        *(_ARRAYS if layout.arrays else ()),
        *(_GROUPS if layout.groups else ()),
        *(_SEALED if keys else ()),
        *(_TPM if KeySource.TPM2 in keys else ()),
        *(name for kind, names in _FORMATS.items() if kind in formats for name in names),
    )


def in_initrd(layout: Layout) -> bool:
    """Whether the root may stand on what an initrd must be told of first."""
    sealed = any(volume.encrypt for _, _, volume in layout.volumes())
    return bool(layout.arrays or layout.groups or sealed)
