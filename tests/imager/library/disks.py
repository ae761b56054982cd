"""Disks as people bring them: a partition table, loaders, an ext4 root, and holes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

MIB = 1 << 20
SIZE = 96 * MIB
_ESP = 2 * MIB
_ROOT = 40 * MIB
_TABLE = f"""label: gpt
start={MIB // 512}, size={MIB // 512}, type=21686148-6449-6E6F-744E-656564454649
start={_ESP // 512}, size={36 * MIB // 512}, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=esp
start={_ROOT // 512}, size={48 * MIB // 512}, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=root
"""
PACKAGES = {"bash": "5.2.15-2", "libc6": "2.36-9"}


def run(*words: str | Path, stdin: str = "") -> None:
    """Run a tool; what it says is in the error."""
    done = subprocess.run(words, input=stdin, text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"


def raw(path: Path, packages: dict[str, str] | None = None, seed: int = 1) -> Path:
    """A disk that a machine could boot in both ways, were its loaders real."""
    with path.open("wb") as stream:
        stream.truncate(SIZE)
    partition(path, _TABLE)
    write(path, 0, b"\xeb\x63GRUB")
    esp(path, _ESP, 36 * MIB)
    root = path.with_suffix(".root")
    tree(root, packages or PACKAGES)
    run("mke2fs", "-q", "-t", "ext4", "-d", root, "-E", f"offset={_ROOT}", path, "48M")
    write(path, _ROOT - MIB, seed.to_bytes(4, "big") * 1024)
    return path


def partition(path: Path, script: str) -> None:
    """Divide it as sfdisk's input says."""
    run("sfdisk", "-q", "--no-reread", "--no-tell-kernel", path, stdin=script)


def esp(path: Path, start: int, size: int, loader: str = "BOOTX64.EFI", bits: str = "16") -> None:
    """Put a FAT with a loader there."""
    part = path.with_suffix(".esp")
    part.write_bytes(b"")
    os.truncate(part, size)
    run("mkfs.vfat", "-F", bits, part)
    run("mmd", "-i", part, "::/EFI", "::/EFI/BOOT", "::/EFI/debian")
    fake = path.with_suffix(".efi")
    fake.write_bytes(b"MZ")
    run("mcopy", "-i", part, fake, f"::/EFI/BOOT/{loader}")
    with path.open("r+b") as stream, part.open("rb") as source:
        stream.seek(start)
        while piece := source.read(MIB):
            if any(piece):
                stream.write(piece)
            else:
                stream.seek(len(piece), os.SEEK_CUR)
    part.unlink()


def tree(root: Path, packages: dict[str, str]) -> None:
    """What tells of a Debian."""
    for folder in ("boot", "etc", "usr/lib", "var/lib/dpkg"):
        (root / folder).mkdir(parents=True)
    (root / "boot/vmlinuz-6.1.0-9-amd64").write_bytes(b"old")
    (root / "boot/vmlinuz-6.1.0-50-amd64").write_bytes(b"new")
    (root / "usr/lib/os-release").write_text('PRETTY_NAME="Debian"\nID=debian\nVERSION_ID="12"\n')
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "var/lib/dpkg/status").write_text(
        "\n".join(
            f"Package: {name}\nStatus: install ok installed\nDescription: it is\n two lines\n"
            f"Version: {version}\n"
            for name, version in packages.items()
        )
        + "\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
    )


def write(path: Path, place: int, octets: bytes) -> None:
    """Change octets of a file."""
    with path.open("r+b") as stream:
        stream.seek(place)
        stream.write(octets)
