"""Live media: a Debian that runs from memory, as kernel, initrd and a squashfs of the root.

The initrd has live-boot, which fetches the squashfs; the system has cloud-init, which asks for its
seed. Otherwise it is the root archive's system (`debian`), without what makes a disk boot.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass, fields
from pathlib import Path

from ironwake.artifact import Manifest, manifest_name
from ironwake.errors import BrokenError, RefusedError
from ironwake_imager import debian, emulation
from ironwake_imager.debian import FILES, Extra, Medium
from ironwake_runtime.builds import Product, Recipe, Versions, Workshop

_LIVE = ("live-boot", "live-boot-initramfs-tools", "busybox", "wget", "cloud-init")
# They make a disk boot; there is none.
_WITHOUT = ("shim-signed", "grub2-common", "efibootmgr")
_BOOT = {"kernel": "boot/vmlinuz-", "initrd": "boot/initrd.img-"}


@dataclass(frozen=True, slots=True)
class LiveMedium(Medium):
    """A medium whose root is for memory."""

    @property
    def packages(self) -> tuple[str, ...]:
        usual = (name for name in debian.PACKAGES if name not in _WITHOUT)
        return (self.kernel, *usual, *_LIVE)


def _live(medium: Medium) -> LiveMedium:
    own = {field.name: getattr(medium, field.name) for field in fields(medium)}
    base = medium.name.removesuffix(f"-{medium.architecture}")
    own["name"] = manifest_name(f"{base}-live", medium.architecture)
    own["title"] = medium.title.rpartition(": ")[0] + ": a live system, from memory"
    return LiveMedium(**own)


MEDIA = {medium.name: medium for medium in map(_live, debian.MEDIA.values())}


def build(name: str, shop: Workshop) -> Manifest:
    """Publish a live medium: roles "kernel", "initrd", "squashfs". Needs root, and sqfstar.

    Facts: unpacked_bytes, kernel_version, architecture, release, packages (count).
    """
    medium = MEDIA[name]
    apt = shop.apt(medium.suite, medium.architecture)
    options = {"suite": medium.suite, "kernel": medium.kernel, "architecture": medium.architecture}
    sources = (Path(__file__), Path(debian.__file__), *sorted(FILES.iterdir()))
    recipe = Recipe(name, "media", sources, options)

    def resolve() -> Versions:
        apt.update()
        return apt.resolve(("?essential", "apt", *medium.packages))

    def make(work: Path, _: Versions) -> Product:
        if shutil.which("sqfstar") is None:
            raise RefusedError("sqfstar is not on this host", "run: apt-get install squashfs-tools")
        emulation.prefix(medium.architecture)  # a host that has no way shall say so at once
        tar = work / "root.tar"
        extra = Extra(hooks=(FILES / "live",))
        debian.bootstrap(
            medium, apt, tar, lambda part, text: shop.progress(name, part, text), extra
        )
        facts = debian.inspect(tar)
        shop.progress(name, 0.9, "packing the root")
        files = {role: _taken(tar, start, work) for role, start in _BOOT.items()}
        # live-boot knows by the end of the name what it fetches.
        files["squashfs"] = work / f"{name}.squashfs"
        squash(tar, files["squashfs"], apt.release_time())
        release = f"{medium.release} {medium.suite}"
        return Product(files, {**facts, "architecture": medium.architecture, "release": release})

    return shop.build(recipe, resolve, make)


def _taken(tar: Path, start: str, work: Path) -> Path:
    """The one file of the archive whose path begins so."""
    with tarfile.open(tar) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            content = archive.extractfile(member) if name.startswith(start) else None
            if content is not None:
                target = work / name.rpartition("/")[2]
                with target.open("wb") as stream:
                    shutil.copyfileobj(content, stream)
                return target
    raise BrokenError(f"the root has no /{start}…")


def squash(tar: Path, target: Path, time: int) -> None:
    """The tar's files as squashfs, none later than `time` (seconds since 1970): the same again."""
    # sqfstar 4.5 takes no option of a compressor, and no folder's mode for its root.
    # The level is 15.
    words = ["sqfstar", "-quiet", "-no-progress", "-root-mode", "0755", "-comp", "zstd"]
    with tar.open("rb") as stream:
        done = subprocess.run(
            [*words, target],
            stdin=stream,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(time)},
        )
    if done.returncode != 0:
        raise BrokenError(f"sqfstar ended with {done.returncode}: {done.stderr.strip()[-300:]}")
