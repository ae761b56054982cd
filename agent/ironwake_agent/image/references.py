"""Where a system names its disk, its partitions and its file systems: old ids become new ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

# Below the root; the ESP is mounted there as well.
_PLACES = (
    *("etc/fstab", "etc/crypttab", "etc/default/grub", "etc/default/grub.d/*"),
    *("etc/kernel/cmdline", "etc/initramfs-tools/conf.d/*", "etc/dracut.conf.d/*"),
    *("boot/grub/grub.cfg", "boot/grub/custom.cfg", "boot/grub/*/load.cfg", "boot/grub2/grub.cfg"),
    *("boot/loader/entries/*.conf", "boot/efi/loader/entries/*.conf", "boot/efi/EFI/*/grub.cfg"),
    *("efi/loader/entries/*.conf", "efi/EFI/*/grub.cfg", "boot/EFI/*/grub.cfg"),
    *("boot/extlinux/extlinux.conf", "boot/syslinux/syslinux.cfg", "boot/cmdline.txt"),
)
# What is in there stands in the initrd as well.
_INITRD = ("etc/crypttab", "etc/initramfs-tools", "etc/dracut.conf.d")
_LARGEST = 4 << 20  # bytes: no configuration is longer


def mend(root: Path, ids: Mapping[str, str]) -> tuple[str, ...]:
    """Write the new ids wherever the old ones stand: the files that have changed, below the root.

    :param ids: old → new; found in whatever case they are written, FAT's with or without its dash
    """
    changed = []
    for path in _files(root):
        text = path.read_bytes()
        now = replaced(text, ids)
        if now != text:
            path.write_bytes(now)  # in place: owner and mode stay
            changed.append(path.relative_to(root).as_posix())
    return tuple(changed)


def needs_initrd(changed: tuple[str, ...]) -> bool:
    """Whether an initrd was made from one of these files."""
    return any(name.startswith(_INITRD) for name in changed)


def replaced(text: bytes, ids: Mapping[str, str]) -> bytes:
    """The text with new ids. All at once: a new id is never taken for an old one."""
    known = {old.lower().encode(): new.encode() for old, new in ids.items() if old}
    if not known:
        return text
    longest_first = sorted(known, key=len, reverse=True)
    words = b"|".join(re.escape(one) for one in longest_first)
    pattern = re.compile(rb"(?<![0-9a-z-])(" + words + rb")(?![0-9a-z])", re.IGNORECASE)
    return pattern.sub(lambda match: known[match[1].lower()], text)


def _files(root: Path) -> Iterator[Path]:
    """Never through a link: the image's links may lead out of the root."""
    for pattern in _PLACES:
        for path in sorted(root.glob(pattern)):
            parents = [one for one in path.parents if one != root and root in one.parents]
            linked = path.is_symlink() or any(one.is_symlink() for one in parents)
            if not linked and path.is_file() and path.stat().st_size <= _LARGEST:
                yield path
