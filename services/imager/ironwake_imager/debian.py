"""Debian media: the vendor's installer (kernel, initrd) and a root archive of our own making.

The installer comes out of the package `debian-installer-<N>-netboot-amd64`, the archive from
mmdebstrap: both verified by the distribution's signatures. The archive is a bootable Debian without
identity: no machine-id, no SSH host keys, no host name, no network; the agent writes those. With it
goes a small repository of the packages that only some layouts need (`ironwake.layout.packages`).
For another architecture than the host's, its packages' scripts are emulated (`emulation`).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import join, quote

import zstandard

from ironwake.artifact import Fact, Manifest, manifest_name
from ironwake.errors import BrokenError
from ironwake.firmware import Architecture
from ironwake.layout import packages
from ironwake_imager import emulation, mounting
from ironwake_runtime.apt import AptRoot
from ironwake_runtime.builds import Product, Recipe, Versions, Workshop

FILES = Path(__file__).parent / "files"

PACKAGES = (
    *("systemd-sysv", "systemd-resolved", "systemd-timesyncd", "libpam-systemd", "dbus", "udev"),
    *("initramfs-tools", "zstd", "kmod", "e2fsprogs", "dosfstools", "fdisk"),
    *(
        "shim-signed",
        "grub2-common",
        "efibootmgr",
        "openssh-server",
        "sudo",
        "curl",
        "ca-certificates",
        "tzdata",
    ),
    *("iproute2", "iputils-ping", "netbase", "less", "vim-tiny"),
    # the alternative, usrmerge, brings all of Perl: 50 MB of 380
    "usr-is-merged",
)

# All boot ways: the archive does not know what firmware it will meet.
_BOOT_PACKAGES = {
    Architecture.AMD64: ("grub-efi-amd64-signed", "grub-efi-amd64-bin", "grub-pc-bin"),
    Architecture.ARM64: ("grub-efi-arm64-signed", "grub-efi-arm64-bin"),
}

# Level 10 packs as fast as the tree is read, and unpacks as fast as any; 19 saves 8 % more.
_LEVEL = 10
# Left out while the archive is built; packages that are installed later bring theirs as usual.
_NOT_UNPACKED = (
    *("path-exclude=/usr/share/doc/*", "path-include=/usr/share/doc/*/copyright"),
    *("path-exclude=/usr/share/man/*", "path-exclude=/usr/share/info/*"),
    *("path-exclude=/usr/share/locale/*", "path-exclude=/usr/share/lintian/*"),
    *("path-exclude=/usr/share/bug/*", "path-exclude=/usr/lib/grub/*-efi/monolithic/*"),
    *("path-exclude=/usr/lib/grub/*-efi-signed/g*net*", "force-unsafe-io"),
)
# Before a package's name: it goes into the repository for layouts. No name has a blank in it.
_FOR_LAYOUTS = "layout "
# What gives a machine an identity, and what packages leave behind.
IDENTITY = (
    *("etc/hostname", "etc/resolv.conf", "etc/ssh/ssh_host_*", "var/lib/dbus/machine-id"),
    *("var/lib/apt/lists/*", "var/cache/apt/*.bin", "var/cache/apt/archives/*.deb"),
    *("var/cache/debconf/*-old", "var/lib/dpkg/*-old", "var/cache/ldconfig/aux-cache"),
    *("var/lib/systemd/random-seed", "var/lib/systemd/credential.secret", "root/.bash_history"),
)
# What only building needed.
_SCAFFOLD = (
    *("etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap"),
    "etc/apt/sources.list.d/*",
)
_REMOVED = (*IDENTITY, *_SCAFFOLD)


@dataclass(frozen=True, slots=True)
class Medium:
    """One Debian as media, for one architecture.

    :ivar kernel: the meta package in the archive
    :ivar installer: the package with the netboot installer
    :ivar flavour: the deploy ramdisk for the same machines
    """

    name: str
    suite: str
    release: str
    architecture: Architecture
    kernel: str
    installer: str
    flavour: str
    title: str

    @property
    def packages(self) -> tuple[str, ...]:
        """What the archive has, besides the essential."""
        return (self.kernel, *PACKAGES, *_BOOT_PACKAGES[self.architecture])

    @property
    def layout_packages(self) -> tuple[str, ...]:
        """Those of `layout.packages` that this release has."""
        left_out = packages.WHERE_THERE_IS_ONE if self.suite == "bookworm" else ()
        return tuple(name for name in packages.ALL if name not in left_out)


MEDIA = {
    medium.name: medium
    for medium in (
        Medium(
            manifest_name(f"debian-{number}{suffix}", architecture),
            suite,
            number,
            architecture,
            f"linux-image{suffix}-{architecture}",
            f"debian-installer-{number}-netboot-{architecture}",
            suffix.removeprefix("-") or "generic",
            f"Debian {number} ({suite}), {architecture}, {title}: "
            "the vendor's installer and a root archive",
        )
        for number, suite in (("12", "bookworm"), ("13", "trixie"))
        for suffix, title in (("", "for any machine"), ("-cloud", "for virtual machines"))
        for architecture in Architecture
    )
}

# Of these only the vendor's installer: their packages are too old, or change too often, for an
# archive of ours. Testing has the installer of the release before it until it has its own.
INSTALLERS = {
    medium.name: medium
    for medium in (
        Medium(
            manifest_name(f"debian-{name}", architecture),
            suite,
            number,
            architecture,
            "",
            f"debian-installer-{number}-netboot-{architecture}",
            "generic",
            f"Debian {name}, {architecture}: the vendor's installer",
        )
        for name, suite, number in (("11", "bullseye", "11"), ("testing", "testing", "13"))
        for architecture in Architecture
    )
}


def installer(name: str, shop: Workshop) -> Manifest:
    """Publish an installer alone: roles "installer-kernel" and "installer-initrd"."""
    medium = INSTALLERS[name]
    apt = shop.apt(medium.suite, medium.architecture)
    options = {"suite": medium.suite, "installer": medium.installer}
    recipe = Recipe(name, "media", (Path(__file__),), options)

    def resolve() -> Versions:
        apt.update()
        return apt.resolve((medium.installer,), dependencies=False)

    def make(work: Path, versions: Versions) -> Product:
        shop.progress(name, 0.0, "unpacking the installer")
        files = _installer(medium, apt, versions, shop.debs, work)
        return Product(files, {"architecture": medium.architecture, "release": medium.suite})

    return shop.build(recipe, resolve, make)


def build(name: str, shop: Workshop) -> Manifest:
    """Publish a medium: roles "installer-kernel", "installer-initrd", "archive" (.tar.zst), and
    "layout-packages" (.tar.zst).

    Facts: unpacked_bytes, kernel_version, architecture, release, packages (count). Needs root.
    """
    medium = MEDIA[name]
    apt = shop.apt(medium.suite, medium.architecture)
    options = {"suite": medium.suite, "kernel": medium.kernel, "installer": medium.installer}
    options["architecture"] = medium.architecture
    recipe = Recipe(name, "media", (Path(__file__), *sorted(FILES.iterdir())), options)

    def resolve() -> Versions:
        apt.update()
        base = ("?essential", "apt", *medium.packages)
        installed = apt.resolve(base)
        more = apt.resolve((*base, *medium.layout_packages))
        extra = {f"{_FOR_LAYOUTS}{key}": more[key] for key in more if key not in installed}
        return {**installed, **extra, **apt.resolve((medium.installer,), dependencies=False)}

    def make(work: Path, versions: Versions) -> Product:
        emulation.prefix(medium.architecture)  # a host that has no way shall say so at once
        shop.progress(name, 0.0, "unpacking the installer")
        files = _installer(medium, apt, versions, shop.debs, work)
        files["layout-packages"] = _layout_packages(apt, versions, shop.debs, work)
        tar = work / "root.tar"
        bootstrap(medium, apt, tar, lambda part, text: shop.progress(name, part, text))
        facts = inspect(tar)
        shop.progress(name, 0.9, "compressing the archive")
        files["archive"] = work / f"{name}.tar.zst"
        _compress(tar, files["archive"])
        release = f"{medium.release} {medium.suite}"
        return Product(files, {**facts, "architecture": medium.architecture, "release": release})

    return shop.build(recipe, resolve, make)


def _installer(
    medium: Medium, apt: AptRoot, versions: Versions, debs: Path, work: Path
) -> dict[str, Path]:
    (deb,) = apt.download({medium.installer: versions[medium.installer]}, debs)
    unpacked = work / "installer"
    unpacked.mkdir()
    subprocess.run(["dpkg-deb", "-x", deb, unpacked], check=True)
    images = unpacked / f"usr/lib/debian-installer/images/{medium.release}"
    folder = images / medium.architecture / "text/debian-installer" / medium.architecture
    return {"installer-kernel": folder / "linux", "installer-initrd": folder / "initrd.gz"}


def _layout_packages(apt: AptRoot, versions: Versions, debs: Path, work: Path) -> Path:
    """A repository, as apt reads one from a folder; each package is called NAME.deb."""
    wanted = {
        key.removeprefix(_FOR_LAYOUTS): version
        for key, version in versions.items()
        if key.startswith(_FOR_LAYOUTS)
    }
    folder = work / "layout-packages"
    folder.mkdir()
    stanzas = []
    for name, deb in zip(wanted, apt.download(wanted, debs), strict=True):
        shutil.copyfile(deb, folder / f"{name}.deb")
        control = subprocess.run(
            ["dpkg-deb", "-f", deb], check=True, capture_output=True, text=True
        )
        with deb.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        place = f"Filename: ./{name}.deb\nSize: {deb.stat().st_size}\nSHA256: {digest}\n"
        stanzas.append(f"{control.stdout.strip()}\n{place}")
    (folder / "Packages").write_text("\n".join(stanzas))
    tar = work / "layout-packages.tar"
    subprocess.run(
        [
            "tar",
            "--sort=name",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "-cf",
            tar,
            "-C",
            folder,
            ".",
        ],
        check=True,
    )
    packed = tar.with_name(f"{tar.name}.zst")
    _compress(tar, packed)
    return packed


@dataclass(frozen=True, slots=True)
class Extra:
    """What a person adds to a medium's archive.

    :ivar packages: names, as apt knows them
    :ivar hooks: programs that are run on this host with the root's path, once packages are there
    """

    packages: tuple[str, ...] = ()
    hooks: tuple[Path, ...] = ()


def is_package(name: str) -> bool:
    """Say whether a text may be a package's name (Debian Policy 5.6.7)."""
    return re.fullmatch(r"[a-z0-9][a-z0-9+.-]{1,127}", name, re.ASCII) is not None


def bootstrap(
    medium: Medium,
    apt: AptRoot,
    target: Path,
    progress: Callable[[float | None, str], None],
    extra: Extra | None = None,
) -> None:
    """Run mmdebstrap into a tar, and draw its own phases as progress."""
    extra = extra or Extra()
    command = [
        *emulation.prefix(medium.architecture),
        "mmdebstrap",
        "--variant=minbase",
        "--format=tar",
        f"--architectures={medium.architecture}",
        "--skip=check/qemu",  # looked at already, and it would not see a namespace's own emulator
        f"--include={','.join((*medium.packages, *extra.packages))}",
        f"--keyring={apt.keyring}",
        "--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--aptopt={line}" for line in apt.acquire_options()),
        *(f"--dpkgopt={option}" for option in _NOT_UNPACKED),
        *(f'--customize-hook={quote(str(hook))} "$1"' for hook in extra.hooks),
        f'--customize-hook=sh {quote(str(FILES / "customize"))} "$1" {join(_REMOVED)}',
        *_mode(),
        medium.suite,
        str(target),
        *apt.source_lines(),
    ]
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "SOURCE_DATE_EPOCH": str(apt.release_time()),
        "TMPDIR": str(target.parent),
        **{key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")},
    }
    log: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout is not None  # noqa: S101 - we asked for a pipe
        for line in process.stdout:
            log.append(line.rstrip())
            phase = _PHASES.get(line.removeprefix("I: ").split("...")[0].strip())
            if phase is not None:
                progress(phase, line.removeprefix("I: ").strip())
    if process.returncode != 0:
        told = [line for line in log if not line.startswith(("Get:", "Setting up"))]
        raise BrokenError(
            f"mmdebstrap ended with {process.returncode}: {' / '.join(told[-8:])}",
            "building an archive needs root, 3 GB of disk and a mirror",
        )


# mmdebstrap's own words → how far that is, from watching it
_PHASES = {
    "running apt-get update": 0.05,
    "downloading packages with apt": 0.1,
    "extracting archives": 0.2,
    "installing essential packages": 0.3,
    "installing remaining packages inside the chroot": 0.45,
    "running --customize-hook in shell": 0.8,
    "creating tarball": 0.85,
}


def _mode() -> list[str]:
    """Choose how mmdebstrap changes root: in a container that may not mount, without mounts."""
    without = ["--skip=chroot/mount,check/canmount"]
    return ["--mode=root", *([] if mounting.is_allowed() else without)]


def inspect(tar: Path) -> dict[str, Fact]:
    """Read what is worth knowing from a root archive.

    :returns: unpacked_bytes (sum of file sizes), kernel_version, packages (count)
    :raises BrokenError: when it has no kernel or more than one
    """
    size, kernels, packages = 0, [], 0
    with tarfile.open(tar) as archive:
        for member in archive:
            size += member.size
            name = member.name.removeprefix("./")
            if name.startswith("boot/vmlinuz-"):
                kernels.append(name.removeprefix("boot/vmlinuz-"))
            if name == "var/lib/dpkg/status":
                status = archive.extractfile(member)
                text = status.read().decode() if status else ""
                packages = text.count("\nStatus: install ok installed\n")
    if len(kernels) != 1:
        raise BrokenError(f"the archive has {len(kernels)} kernels: {', '.join(kernels)}")
    return {"unpacked_bytes": size, "kernel_version": kernels[0], "packages": packages}


def _compress(source: Path, target: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, threads=-1, write_checksum=True, write_content_size=True
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    with source.open("rb") as plain, target.open("wb") as packed:
        compressor.copy_stream(plain, packed, size=source.stat().st_size)
