"""What a root file system says of itself: family, architecture, kernel, packages, ways to boot."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ironwake.firmware import Architecture
from ironwake.rootfs.member import Kind
from ironwake.rootfs.tree import Tree

STATUS = "var/lib/dpkg/status"
OS_RELEASE = "etc/os-release"
SHELL = "bin/sh"
ELF_HEAD = 20  # octets of a program that tell its processor

# e_machine of the ELF header (gABI, chapter 4)
_MACHINES = {0x3E: Architecture.AMD64, 0xB7: Architecture.ARM64}
_PROGRAMS = (SHELL, "usr/bin/env", "sbin/init", "usr/bin/dash", "usr/bin/bash", "bin/busybox")
_SIGNED = (
    "usr/lib/grub/x86_64-efi-signed",
    "usr/lib/grub/arm64-efi-signed",
    "usr/lib/systemd/boot/efi",
)


@dataclass(frozen=True, slots=True)
class Release:
    """What etc/os-release says (os-release(5)): `debian`, `12`, `bookworm`."""

    family: str = ""
    version: str = ""
    suite: str = ""


def release(text: str) -> Release:
    """Read os-release; what is missing is ""."""
    found = re.findall(r"""^([A-Z_]+)=["']?([^"'\n]*)["']?$""", text, re.MULTILINE)
    said = {key: value.strip() for key, value in found}
    words = (said.get(key, "") for key in ("ID", "VERSION_ID", "VERSION_CODENAME"))
    return Release(*(word if re.fullmatch(r"[a-z0-9._-]{0,40}", word) else "" for word in words))


def architecture(head: bytes) -> Architecture | None:
    """Whose program this is, by the first octets of an ELF file."""
    if len(head) < ELF_HEAD or not head.startswith(b"\x7fELF"):
        return None
    return _MACHINES.get(int.from_bytes(head[18:20], "little"))


def program(tree: Tree) -> str | None:
    """A name of some program of the system, whose head tells the architecture."""
    for path in _PROGRAMS:
        inode = tree.resolve(path)
        if inode is not None and inode.member.kind is Kind.FILE:
            return path
    return None


def kernels(names: Iterable[str]) -> list[str]:
    """The versions of the kernels among the names in /boot."""
    return sorted(name.removeprefix("vmlinuz-") for name in names if name.startswith("vmlinuz-"))


def boot_modes(tree: Tree) -> str:
    """`bios,uefi`, as far as the system has the programs for it."""
    modes = []
    if tree.get("usr/lib/grub/i386-pc") is not None:
        modes.append("bios")
    if any(tree.get(path) is not None for path in _SIGNED):
        modes.append("uefi")
    return ",".join(modes)
