"""Imports as a whole: what is known of a disk, what is refused, and what is left when one ends."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironwake.artifact import ArtifactError
from ironwake.errors import BrokenError, InputError, IronwakeError, RefusedError
from ironwake.firmware import Architecture
from ironwake.image import Image
from ironwake_imager.library import disk as disk_source
from ironwake_imager.library import keeping
from ironwake_imager.library.bring import Importer, Wish
from ironwake_imager.library.library import Library
from tests.imager.library import disks
from tests.imager.library.conftest import importer
from tests.imager.library.test_library import left

MIB = disks.MIB


def test_what_is_known_of_a_disk(importing: Importer, disk: Path) -> None:
    """Kind, boot modes, kernel and packages, read without mounting anything."""
    manifest = importing.bring(Wish(str(disk), "web"))
    image = Image.of(manifest)
    assert (image.name, image.size, image.least_disk) == ("web@1", disks.SIZE, disks.SIZE)
    assert image.boot_modes == ("bios", "uefi")
    assert (image.architecture, image.family) == (Architecture.AMD64, "debian")
    assert image.kernel == "6.1.0-50-amd64"
    assert image.sha256 == hashlib.sha256(disk.read_bytes()).hexdigest()
    assert image.source == "raw web.raw"
    packages = keeping.packages_of(importing.library.store, manifest)
    assert packages == tuple(sorted(disks.PACKAGES.items()))


def test_a_disk_of_another_architecture(importing: Importer, tmp_path: Path) -> None:
    """By the loader in its ESP; a person who says otherwise is wrong."""
    source = tmp_path / "arm.raw"
    with source.open("wb") as stream:
        stream.truncate(64 * MIB)
    disks.partition(source, "label: gpt\nstart=2048, size=102400, type=uefi\n")
    disks.esp(source, MIB, 50 * MIB, "BOOTAA64.EFI", "32")
    image = Image.of(importing.bring(Wish(str(source), "arm")))
    assert (image.architecture, image.boot_modes) == (Architecture.ARM64, ("uefi",))
    wishes = disk_source.Wishes(architecture=Architecture.AMD64)
    with pytest.raises(InputError, match="it is of arm64"):
        importing.bring(Wish(str(source), "arm", disk=wishes))


def test_a_disk_of_an_unknown_system(importing: Importer, tmp_path: Path) -> None:
    """Nothing is guessed: what a person says stands there, the rest is empty."""
    source = tmp_path / "odd.raw"
    source.write_bytes(os.urandom(4 * MIB))
    disks.partition(source, "label: dos\nstart=2048, type=7\n")
    disks.write(source, 0, bytes(440))
    wishes = disk_source.Wishes(architecture=Architecture.ARM64)
    image = Image.of(importing.bring(Wish(str(source), "odd", disk=wishes)))
    assert (image.boot_modes, image.kernel, image.family) == ((), "", "")
    assert image.architecture is Architecture.ARM64


def test_a_bare_file_system(importing: Importer, tmp_path: Path) -> None:
    """A disk without a table comes in only where that is meant."""
    source, root = tmp_path / "bare.raw", tmp_path / "tree"
    disks.tree(root, {"bash": "5"})
    disks.run("mke2fs", "-q", "-t", "ext4", "-d", root, source, "16M")
    with pytest.raises(RefusedError, match="--bare"):
        importing.bring(Wish(str(source), "bare"))
    image = Image.of(importing.bring(Wish(str(source), "bare", disk=disk_source.Wishes(bare=True))))
    assert (image.kernel, image.boot_modes) == ("6.1.0-50-amd64", ())


def _overlap(path: Path) -> None:
    disks.write(path, 446, struct.pack("<B3xB3xII", 0, 0x83, 1, 2048))
    disks.write(path, 462, struct.pack("<B3xB3xII", 0, 0x83, 1000, 2048))
    disks.write(path, 510, b"\x55\xaa")


def _circle(path: Path) -> None:
    disks.write(path, 446, struct.pack("<B3xB3xII", 0, 5, 64, 4096))
    disks.write(path, 510, b"\x55\xaa")
    disks.write(path, 64 * 512 + 446, struct.pack("<B3xB3xII", 0, 0x83, 8, 8))
    disks.write(path, 64 * 512 + 462, struct.pack("<B3xB3xII", 0, 5, 0, 64))
    disks.write(path, 64 * 512 + 510, b"\x55\xaa")


def _beyond(path: Path) -> None:
    disks.write(path, 446, struct.pack("<B3xB3xII", 0, 0x83, 1, 1 << 30))
    disks.write(path, 510, b"\x55\xaa")


def _wrong_sum(path: Path) -> None:
    disks.partition(path, "label: gpt\nstart=2048, size=2048\n")
    disks.write(path, 512 + 48, b"\x05")


@pytest.mark.parametrize("make", [_overlap, _circle, _beyond, _wrong_sum])
def test_hostile_tables(importing: Importer, tmp_path: Path, make: object) -> None:
    """Refused by name of the file, and nothing of it is left; a qcow2 around it changes nothing."""
    source = tmp_path / "hostile.raw"
    source.write_bytes(bytes(4 * MIB))
    assert callable(make)
    make(source)
    packed = tmp_path / "hostile.qcow2"
    disks.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", source, packed)
    for path in (source, packed):
        with pytest.raises(RefusedError) as caught:
            importing.bring(Wish(str(path), "web"))
        assert caught.value.where == str(path)
    assert left(importing.library) == set()


@pytest.mark.parametrize(
    ("octets", "says"),
    [(b"KDMV", "VMDK"), (b"conectix", "VHD"), (b"hsqs", "squashfs"), (b"PK\x03\x04", "zip")],
)
def test_formats_that_are_none_of_ours(
    importing: Importer, tmp_path: Path, octets: bytes, says: str
) -> None:
    """They are called by name, with the way out."""
    source = tmp_path / "other"
    source.write_bytes(octets.ljust(MIB, b"\0"))
    with pytest.raises(RefusedError, match=says) as caught:
        importing.bring(Wish(str(source), "web"))
    assert "qemu-img convert" in caught.value.next_step


def test_what_is_not_there_or_too_large(importing: Importer, disk: Path, tmp_path: Path) -> None:
    """Each says what is wrong."""
    (tmp_path / "empty").touch()
    (tmp_path / "empty").write_bytes(b"")
    small = disk_source.Wishes(disk_source.Format.RAW, largest=MIB)
    for wish, says in (
        (Wish(str(tmp_path / "absent"), "web"), "no such file"),
        (Wish(str(disk), "Web"), "is no image"),
        (Wish(str(disk), "web", disk=small), "may have"),
        (Wish(str(tmp_path / "empty"), "web"), "0 bytes"),
        (Wish("/dev/null", "web"), "no file"),
    ):
        with pytest.raises(IronwakeError, match=says):
            importing.bring(wish)
    assert left(importing.library) == set()


def test_a_wrong_checksum(importing: Importer, disk: Path) -> None:
    """Of a file, too: nothing is made of it."""
    with pytest.raises(RefusedError, match="it has the SHA-256"):
        importing.bring(Wish(str(disk), "web", "0" * 64))
    sha256 = hashlib.sha256(disk.read_bytes()).hexdigest()
    assert importing.bring(Wish(str(disk), "web", sha256)).name == "web@1"


def test_what_was_imported_is_sound(importing: Importer, disk: Path, tmp_path: Path) -> None:
    """Verified, and written out as it came in, with its holes."""
    importing.bring(Wish(str(disk), "web"))
    library = importing.library
    keeping.verify(library, "web", importing.progress)
    out = tmp_path / "out.raw"
    keeping.export(library, "web@1", out, importing.progress)
    disks.run("cmp", disk, out)
    assert out.stat().st_blocks * 512 < disks.SIZE // 8
    with pytest.raises(RefusedError, match="there already"):
        keeping.export(library, "web", out, importing.progress)
    keeping.export(library, "web", out, importing.progress, force=True)


@pytest.mark.parametrize("role", ["pack", "index", "packages"])
def test_what_is_damaged_is_told(
    importing: Importer, disk: Path, tmp_path: Path, role: str
) -> None:
    """A flipped bit, wherever it is; and no export of it has a name."""
    manifest = importing.bring(Wish(str(disk), "web"))
    path = importing.library.store.path(manifest.artifact(role).sha256)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(BrokenError, match=role):
        keeping.verify(importing.library, "web", importing.progress)
    if role != "packages":
        before = set(tmp_path.iterdir())
        with pytest.raises(IronwakeError):
            keeping.export(importing.library, "web", tmp_path / "out", importing.progress)
        assert set(tmp_path.iterdir()) == before
    path.unlink()
    with pytest.raises(ArtifactError, match="not there"):
        keeping.verify(importing.library, "web", importing.progress)


def test_what_is_other_in_the_next_version(importing: Importer, disk: Path, tmp_path: Path) -> None:
    """Blocks to move, and packages that came, went and changed."""
    importing.bring(Wish(str(disk), "web"))
    source = disks.raw(tmp_path / "next.raw", {"bash": "5.3", "zsh": "1"}, seed=2)
    importing.bring(Wish(str(source), "web"))
    found = keeping.diff(importing.library, "web@1", "web@2")
    assert found.packages.changed == (("bash", "5.2.15-2", "5.3"),)
    assert found.packages.added == (("zsh", "1"),)
    assert found.packages.removed == (("libc6", "2.36-9"),)
    assert found.blocks is not None
    index = keeping.index_of(importing.library.store, importing.library.find("web")[1])
    assert found.blocks.changed + found.blocks.same == len(index.blocks)
    assert 0 < found.blocks.moved <= index.packed
    same = keeping.diff(importing.library, "web@1", "web@1")
    assert same.blocks is not None
    assert (same.blocks.changed, same.blocks.moved, same.facts) == (0, 0, {})


class _Killed:
    """Progress that ends its process with a signal at the n-th word."""

    def __init__(self, at: int) -> None:
        self._left = at

    def __call__(self, step: str, fraction: float | None, message: str) -> None:  # noqa: ARG002
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("at", [1, 2, 5, 9])
@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_killed_in_the_middle(disk: Path, tmp_path: Path, at: int, form: str) -> None:
    """Nothing of it is visible; the next import clears its leftovers away and works."""
    importing, source = importer(tmp_path), disk
    if form == "qcow2":
        source = tmp_path / "web.qcow2"
        disks.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, source)
    child = os.fork()
    if child == 0:  # pragma: no cover - ends by its own signal
        with contextlib.suppress(BaseException):
            killed = Importer(importing.library, importing.cache, _Killed(at), importing.shop)
            killed.bring(Wish(str(source), "web"))
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert importing.library.catalogue().images == ()
    made = importing.bring(Wish(str(source), "web"))
    assert made.name == "web@1"
    hashes = {f"sha256/{one.sha256[:2]}/{one.sha256}" for one in made.artifacts.values()}
    assert left(importing.library) == {*hashes, "images.json", "manifests/web@1.json"}
    keeping.verify(importing.library, "web", importing.progress)


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    options = f"size={size},mode=0755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.root
@pytest.mark.parametrize("form", ["raw", "qcow2"])
@pytest.mark.parametrize("size", ["16k", "600k", "1m"])
def test_a_full_disk(tmp_path: Path, form: str, size: str) -> None:
    """It says where to make room, and leaves nothing; with room, the same works."""
    source = tmp_path / "noise.raw"
    source.write_bytes(bytes(MIB) + os.urandom(MIB) + bytes(MIB))
    disks.partition(source, "label: gpt\nstart=2048, size=2048\n")
    if form == "qcow2":
        packed = tmp_path / "noise.qcow2"
        disks.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", source, packed)
        source = packed
    with small_disk(tmp_path / "small", size) as small:
        importing = importer(small)
        with pytest.raises(BrokenError) as caught:
            importing.bring(Wish(str(source), "web"))
        assert "room" in str(caught.value) or "No space left" in str(caught.value)
        assert left(importing.library) == set()
        subprocess.run(["mount", "-o", "remount,size=8m", small], check=True)
        assert importing.bring(Wish(str(source), "web")).name == "web@1"
        keeping.verify(importing.library, "web", importing.progress)


def test_roots_come_in_by_the_same_door(importing: Importer, tmp_path: Path) -> None:
    """An archive becomes an image of a root, with its facts, and comes out as a tar.zst."""
    root, archive = tmp_path / "tree", tmp_path / "root.tar"
    disks.tree(root, disks.PACKAGES)
    (root / "boot/vmlinuz-6.1.0-9-amd64").unlink()
    disks.run("tar", "-C", root, "-cf", archive, ".")
    manifest = importing.bring(Wish(str(archive), "web"))
    image = Image.of(manifest)
    assert (image.kind, image.family, image.kernel) == ("root", "debian", "6.1.0-50-amd64")
    assert image.source == "tar root.tar"
    assert image.least_disk > 1 << 30
    library: Library = importing.library
    keeping.verify(library, "web", importing.progress)
    assert keeping.packages_of(library.store, manifest) == tuple(sorted(disks.PACKAGES.items()))
    keeping.export(library, "web", tmp_path / "out.tar.zst", importing.progress)
    stored = library.store.path(manifest.artifact("archive").sha256)
    disks.run("cmp", stored, tmp_path / "out.tar.zst")
