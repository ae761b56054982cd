"""FAI as a medium: kernel, initrd, and a root of its own with the base file of what it installs.

The root is made by FAI's own fai-make-nfsroot, in a chroot: nothing is installed on this host. It
goes as an ext4 image inside a squashfs (what `fai-cd -S` makes): FAI's initrd mounts no other one.
The base file is our root archive's system (`debian`), with kernel and boot loaders, so that no
machine has to make an initramfs while it is installed, which takes minutes under emulation.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import zstandard

from ironwake.artifact import Manifest
from ironwake.errors import BrokenError, RefusedError
from ironwake.firmware import Architecture
from ironwake_imager import debian
from ironwake_imager.debian import Medium
from ironwake_runtime.apt import AptRoot
from ironwake_runtime.builds import Product, Recipe, Versions, Workshop

HERE = Path(__file__).parent
FILES = tuple(HERE / name for name in ("NFSROOT", "make-nfsroot", "nfsroot.conf"))
_SERVER = (
    *("fai-server", "fai-client", "fai-setup-storage", "debootstrap", "squashfs-tools"),
    *("ca-certificates", "procps", "zstd", "xz-utils", "udev", "kmod", "iproute2", "netbase"),
    *("pciutils", "lftp", "curl"),
    # Without them fai-make-nfsroot ends with 127.
    *("mount", "tzdata"),
)
# What fai-make-nfsroot adds by itself to its own list.
_OWN = ("fai-nfsroot", "dracut-live", "dracut-squash")
_ROOT, _BOOT = "srv/fai/nfsroot", "srv/tftp/fai"
_BASE = "var/tmp/base.tar.zst"
_LABEL = "FAI-NFSROOT"
_MIB = 1 << 20
# Set after FAI's own 10fai, which takes unsigned packages.
_SIGNED = (
    'APT::Get::AllowUnauthenticated "false";',
    'Acquire::AllowInsecureRepositories "false";',
    'Acquire::Check-Valid-Until "true";',
)


@dataclass(frozen=True, slots=True)
class FaiMedium(Medium):
    """A medium whose base file has all that a disk needs to boot."""


def _fai(medium: Medium) -> FaiMedium:
    own = {field.name: getattr(medium, field.name) for field in fields(medium)}
    own["name"] = f"fai-{medium.name}"
    who = medium.title.rpartition(": ")[0]
    own["title"] = f"{who}: by FAI, Debian's Fully Automatic Installation"
    return FaiMedium(**own)


# FAI 6 of Debian 12, for amd64: no other one has been seen to work.
MEDIA = {
    medium.name: medium
    for medium in map(_fai, debian.MEDIA.values())
    if medium.suite == "bookworm" and medium.architecture is Architecture.AMD64
}


def build(name: str, shop: Workshop) -> Manifest:
    """Publish a medium: roles "installer-kernel", "installer-initrd", "squashfs".

    Facts: unpacked_bytes (of the base file), kernel_version, architecture, release, packages,
    fai_version. Needs root that may mount, mksquashfs, mkfs.ext4, and 4 GB in the cache.
    """
    medium = MEDIA[name]
    apt = shop.apt(medium.suite, medium.architecture)
    options = {"suite": medium.suite, "kernel": medium.kernel, "architecture": medium.architecture}
    sources = (Path(__file__), Path(debian.__file__), *FILES)
    recipe = Recipe(name, "media", sources, options)

    def resolve() -> Versions:
        apt.update()
        parts = {
            "base": ("?essential", "apt", *medium.packages),
            "root": ("?essential", "apt", medium.kernel, *_OWN, *_listed()),
            "server": ("?essential", "apt", *_SERVER),
        }
        return {
            f"{part} {package}": version
            for part, names in parts.items()
            for package, version in apt.resolve(names).items()
        }

    def make(work: Path, versions: Versions) -> Product:
        for tool in ("mksquashfs", "mkfs.ext4", "unshare"):
            if shutil.which(tool) is None:
                package = {"mksquashfs": "squashfs-tools", "mkfs.ext4": "e2fsprogs"}.get(tool)
                step = f"run: apt-get install {package or 'util-linux'}"
                raise RefusedError(f"{tool} is not on this host", step)
        tar = work / "base.tar"
        debian.bootstrap(medium, apt, tar, lambda part, text: shop.progress(name, part, text))
        facts = debian.inspect(tar)
        shop.progress(name, 0.5, "making FAI's root")
        server = _server(medium, apt, work / "server")
        root = server / _ROOT
        shop.progress(name, 0.85, "packing FAI's root")
        _compress(tar, root / _BASE)
        tar.unlink()
        _forget_mirror(root)
        squashfs = work / f"{name}.squashfs"
        _pack(root, work, squashfs)
        files = {
            "installer-kernel": _only(server / _BOOT, "vmlinuz-*"),
            "installer-initrd": _only(server / _BOOT, "initrd.img-*"),
            "squashfs": squashfs,
        }
        told = {
            "architecture": medium.architecture,
            "release": f"{medium.release} {medium.suite}",
            "fai_version": versions["root fai-client"],
        }
        return Product(files, {**facts, **told})

    return shop.build(recipe, resolve, make)


def _listed() -> tuple[str, ...]:
    """The packages of our NFSROOT; a name with a hyphen behind it is one that is left out."""
    text = (HERE / "NFSROOT").read_text()
    lines = (line for line in text.splitlines() if not line.startswith(("#", "PACKAGES")))
    return tuple(word for line in lines for word in line.split() if not word.endswith("-"))


def _server(medium: Medium, apt: AptRoot, root: Path) -> Path:
    """The root of a FAI server in this folder, with FAI's own root made in it."""
    _run(
        [
            "mmdebstrap",
            "--variant=apt",
            "--mode=root",
            f"--include={','.join(_SERVER)}",
            f"--keyring={apt.keyring}",
            '--aptopt=APT::Install-Recommends "false"',
            *(f"--aptopt={line}" for line in apt.acquire_options()),
            "--dpkgopt=force-unsafe-io",
            medium.suite,
            str(root),
            *apt.source_lines(),
        ],
        root.parent,
    )
    _configure(medium, apt, root / "etc/fai")
    namespace = ["unshare", "--mount", "--propagation", "private"]
    _run([*namespace, "sh", str(HERE / "make-nfsroot"), str(root)], root.parent)
    return root


def _configure(medium: Medium, apt: AptRoot, etc: Path) -> None:
    shutil.copyfile(HERE / "NFSROOT", etc / "NFSROOT")
    with (etc / "NFSROOT").open("a") as stream:
        stream.write(f"{medium.kernel}\n")
    text = (HERE / "nfsroot.conf").read_text()
    text = text.replace("@SUITE@", medium.suite).replace("@MIRROR@", apt.mirror.main)
    (etc / "nfsroot.conf").write_text(text)
    (etc / "fai.conf").write_text("LOGUSER=\n")
    # FAI's own repository is none of Debian's.
    shutil.rmtree(etc / "apt")
    parts = etc / "apt/apt.conf.d"
    parts.mkdir(parents=True)
    _lines(etc / "apt/sources.list", apt.source_lines())
    _lines(parts / "90host", apt.acquire_options())
    _lines(parts / "99signed", _SIGNED)


def _forget_mirror(root: Path) -> None:
    """The mirror of this host, and its proxy, are no business of the machines'."""
    for name in ("sources.list", "apt.conf.d/90host"):
        (root / "etc/apt" / name).unlink(missing_ok=True)
    for name in ("etc/resolv.conf", "etc/resolv.conf-installserver"):
        (root / name).unlink(missing_ok=True)
    for path in (root / "var/lib/apt/lists").glob("*_*"):
        path.unlink()


def _pack(root: Path, work: Path, target: Path) -> None:
    """An ext4 image in a squashfs, by the names that dracut's livenet looks for."""
    folder = work / "squashfs/LiveOS"
    folder.mkdir(parents=True)
    image = folder / "ext3fs.img"
    told = _run(["du", "--summarize", "--block-size=1M", "--one-file-system", str(root)], work)
    # A fifth and 100 MiB more than the files: for inodes, and for what FAI writes there.
    size = int(told.split()[0]) * 12 // 10 + 100
    with image.open("wb") as stream:
        stream.truncate(size * _MIB)
    made = ["mkfs.ext4", "-q", "-m1", "-O^has_journal", "-F", "-L", _LABEL, "-d", str(root)]
    _run([*made, str(image)], work)
    shutil.rmtree(root)
    words = ["mksquashfs", str(work / "squashfs"), str(target), "-comp", "zstd"]
    _run([*words, "-Xcompression-level", "10", "-noappend", "-quiet", "-no-progress"], work)


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise BrokenError(f"FAI's root has {len(found)} files {pattern}, not one")
    return found[0]


def _compress(source: Path, target: Path) -> None:
    with source.open("rb") as plain, target.open("wb") as packed:
        compressor = zstandard.ZstdCompressor(level=10, threads=-1, write_checksum=True)
        compressor.copy_stream(plain, packed, size=source.stat().st_size)


def _lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))


def _run(words: Sequence[str], work: Path) -> str:
    """What it says; BrokenError with its last words where it fails."""
    kept = {name: text for name, text in os.environ.items() if name.lower().endswith("_proxy")}
    plain = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TMPDIR": str(work)}
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env={**plain, **kept}, errors="replace"
    )
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if _tells(line)]
        raise BrokenError(
            f"{words[0]} ended with {done.returncode}: {' / '.join(lines[-8:])}",
            "building FAI's root needs root that may mount, 4 GB of disk and a mirror",
        )
    return done.stdout


def _tells(line: str) -> bool:
    return bool(line.strip()) and not re.match(r"(Get:|I: |Setting up|Unpacking|Selecting)", line)
