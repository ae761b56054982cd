"""ISO images with the structure of each vendor's, and with known bytes in them.

Made by xorriso, with Rock Ridge and Joliet as Linux distributions' have them; plain for ESXi; with
UDF, by genisoimage, for Windows.
"""

from __future__ import annotations

import hashlib
import random
import struct
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ironwake_testing import esxi

RED_HAT = {"kernel": "images/pxeboot/vmlinuz", "initrd": "images/pxeboot/initrd.img"}
CASPER = {"kernel": "casper/vmlinuz", "initrd": "casper/initrd"}
LOADER = {"kernel": "boot/x86_64/loader/linux", "initrd": "boot/x86_64/loader/initrd"}


How = Callable[[Path, Path, str], None]


def octets(name: str, size: int) -> bytes:
    """Bytes that look like nothing, the same each time."""
    return random.Random(name).randbytes(size)


def wim(*editions: str, build: int = 20348, kind: str = "Server") -> bytes:
    """The header and the XML of a Windows image, with some bytes between them."""
    images = "".join(
        f'<IMAGE INDEX="{number}"><WINDOWS><INSTALLATIONTYPE>{kind}</INSTALLATIONTYPE>'
        f"<VERSION><BUILD>{build}</BUILD></VERSION></WINDOWS><NAME>{name}</NAME></IMAGE>"
        for number, name in enumerate(editions, 1)
    )
    xml = f"\ufeff<WIM>{images}</WIM>".encode("utf-16-le")
    middle = octets("wim", 5000)
    header = bytearray(208)
    header[:8] = b"MSWIM\0\0\0"
    struct.pack_into("<I", header, 8, 208)
    place = 208 + len(middle)
    struct.pack_into("<QQQ", header, 72, len(xml) | 2 << 56, place, len(xml))
    return bytes(header) + middle + xml


def treeinfo(family: str, version: str, files: Mapping[str, bytes], arch: str = "x86_64") -> bytes:
    rows = "\n".join(
        f"{path} = sha256:{hashlib.sha256(data).hexdigest()}" for path, data in files.items()
    )
    text = (
        f"[general]\nfamily = {family}\nversion = {version}\narch = {arch}\n\n[checksums]\n{rows}\n"
    )
    return text.encode()


def red_hat(family: str, version: str, arch: str = "x86_64") -> dict[str, bytes]:
    boot = {path: octets(path + family, 40_001) for path in RED_HAT.values()}
    return {
        ".treeinfo": treeinfo(family, version, boot, arch),
        **boot,
        "images/install.img": octets("install", 70_000),
        "BaseOS/Packages/b/bash-5.1.8-9.el9.x86_64.rpm": octets("bash", 12_345),
        "BaseOS/Packages/l/libstdc++-11.4.1-3.el9.x86_64.rpm": octets("c++", 2048),
        "BaseOS/repodata/repomd.xml": b"<repomd/>",
        "media.repo": b"",
    }


def _ubuntu() -> dict[str, bytes]:
    boot = {path: octets(path, 30_000) for path in CASPER.values()}
    sums = "".join(f"{hashlib.md5(data).hexdigest()}  ./{path}\n" for path, data in boot.items())  # noqa: S324
    info = b'Ubuntu-Server 24.04.1 LTS "Noble Numbat" - Release amd64 (20240827)'
    return {
        ".disk/info": info,
        **boot,
        "md5sum.txt": sums.encode(),
        "casper/ubuntu-server-minimal.squashfs": octets("squashfs", 50_000),
    }


def _suse(media: str) -> dict[str, bytes]:
    boot = {path: octets(path + media, 30_000) for path in LOADER.values()}
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in boot.items())
    return {"media.1/media": media.encode(), **boot, "CHECKSUMS": sums.encode()}


def _windows(build: int, kind: str, *editions: str) -> dict[str, bytes]:
    return {
        "boot/bcd": octets("bcd", 16_384),
        "boot/boot.sdi": octets("sdi", 100_000),
        "sources/boot.wim": wim("Microsoft Windows PE (x64)", build=build, kind="WindowsPE"),
        "sources/install.wim": wim(*editions, build=build, kind=kind),
        "setup.exe": b"MZ",
    }


@dataclass(frozen=True)
class Structure:
    """A vendor's ISO: its files, its label, and how it is made."""

    files: Callable[[], dict[str, bytes]]
    label: str
    make: How


@dataclass(frozen=True)
class Disc:
    """An ISO that was made, and what is in it."""

    path: Path
    files: Mapping[str, bytes]


def rock_ridge(source: Path, target: Path, label: str) -> None:
    """As Linux distributions do it."""
    _xorriso("-R", "-J", "-joliet-long", "-V", label, "-o", str(target), str(source))


def joliet(source: Path, target: Path, label: str) -> None:
    _xorriso("--norock", "-J", "-joliet-long", "-V", label, "-o", str(target), str(source))


def plain(source: Path, target: Path, label: str) -> None:
    """ISO 9660 and nothing else: capitals, eight letters and three."""
    _xorriso("--norock", "-iso-level", "1", "-V", label, "-o", str(target), str(source))


def udf(source: Path, target: Path, label: str) -> None:
    """As Windows' are, but for the ISO 9660 side, which has all files here."""
    command = ("genisoimage", "-quiet", "-udf", "-allow-limited-size", "-V", label)
    subprocess.run((*command, "-o", target, source), check=True, capture_output=True)


def _xorriso(*words: str) -> None:
    subprocess.run(("xorriso", "-as", "mkisofs", "-quiet", *words), check=True, capture_output=True)


STRUCTURES: dict[str, Structure] = {
    "rocky-9": Structure(lambda: red_hat("Rocky Linux", "9.4"), "Rocky-9-4-x86_64-dvd", rock_ridge),
    "rocky-9-arm64": Structure(
        lambda: red_hat("Rocky Linux", "9.4", "aarch64"), "Rocky-9-4-aarch64-dvd", rock_ridge
    ),
    "alma-8": Structure(lambda: red_hat("AlmaLinux", "8.10"), "AlmaLinux-8-10", rock_ridge),
    "centos-stream-9": Structure(
        lambda: red_hat("CentOS Stream", "9"), "CentOS-Stream-9-BaseOS-x86_64", rock_ridge
    ),
    "rhel-10": Structure(
        lambda: red_hat("Red Hat Enterprise Linux", "10.0"), "RHEL-10-0-BaseOS", rock_ridge
    ),
    "fedora-42": Structure(lambda: red_hat("Fedora", "42"), "Fedora-S-dvd-x86_64-42", rock_ridge),
    "ubuntu-24.04": Structure(_ubuntu, "Ubuntu-Server 24.04.1 LTS amd64", rock_ridge),
    "debian-12-dvd": Structure(
        lambda: {
            ".disk/info": b'Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 DVD Binary-1',
            "install.amd/vmlinuz": octets("debian", 9000),
            "dists/bookworm/Release": b"Suite: stable\n",
        },
        "Debian 12.5.0 amd64 1",
        rock_ridge,
    ),
    "leap-15.6": Structure(
        lambda: _suse(
            "openSUSE - openSUSE-Leap-15.6-DVD-x86_64-Build710.3-Media\n"
            "openSUSE-Leap-15.6-DVD-x86_64-Build710.3\n1\n"
        ),
        "openSUSE-Leap-15.6-DVD-x86_64",
        rock_ridge,
    ),
    "tumbleweed": Structure(
        lambda: _suse("openSUSE - openSUSE-Tumbleweed-DVD-x86_64-Snapshot20251101-Media\n1\n"),
        "openSUSE-Tumbleweed-DVD",
        rock_ridge,
    ),
    "sles-15.6": Structure(
        lambda: _suse("SUSE - SLE-15-SP6-Full-x86_64-GM-Media\nSLE-15-SP6-Full-x86_64-GM\n2\n"),
        "SLE-15-SP6-Full",
        rock_ridge,
    ),
    "leap-16.0": Structure(
        lambda: {
            **{path: octets(path, 10_000) for path in LOADER.values()},
            "LiveOS/squashfs.img": octets("agama", 60_000),
        },
        "Install-Leap-16.0-x86_64",
        rock_ridge,
    ),
    "windows-11": Structure(
        lambda: _windows(26100, "Client", "Windows 11 Home", "Windows 11 Pro"),
        "CCCOMA_X64FRE_EN-US",
        udf,
    ),
    "windows-server-2022": Structure(
        lambda: _windows(20348, "Server", "Windows Server 2022 SERVERSTANDARDCORE"),
        "SSS_X64FRE_EN-US_DV9",
        udf,
    ),
    "esxi-8": Structure(
        lambda: {
            "boot.cfg": esxi.BOOT_CFG.encode(),
            "efi/boot/bootx64.efi": octets("mboot", 20_000),
            "b.b00": octets("b00", 5000),
        },
        "ESXI-8.0U3-24022510-STANDARD",
        plain,
    ),
    "proxmox-8": Structure(
        lambda: {
            ".cd-info": b"PRODUCT='pve'\nRELEASE='8.4'\nISORELEASE='1'\n",
            "boot/linux26": octets("pve", 9000),
            "boot/initrd.img": octets("pve-initrd", 9000),
            "pve-base.squashfs": octets("pve-base", 9000),
        },
        "PVE",
        rock_ridge,
    ),
    "freebsd-14": Structure(
        lambda: {
            "usr/freebsd-dist/MANIFEST": b"base.txz\tabc\n",
            "bin/freebsd-version": b'#!/bin/sh\nUSERLAND_VERSION="14.3-RELEASE"\n',
            "boot/loader.efi": octets("bsd", 9000),
        },
        "14_3_RELEASE_AMD64_DVD",
        rock_ridge,
    ),
}


def make(name: str, folder: Path) -> Disc:
    """The ISO of this name in the folder."""
    structure = STRUCTURES[name]
    return make_of(structure.files(), folder / f"{name}.iso", structure.label, structure.make)


def make_of(
    files: Mapping[str, bytes],
    target: Path,
    label: str = "TEST",
    how: How = rock_ridge,
) -> Disc:
    """An ISO with just these files."""
    source = target.with_suffix(".files")
    for path, data in files.items():
        place = source / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    source.mkdir(exist_ok=True)
    how(source, target, label)
    return Disc(target, files)
