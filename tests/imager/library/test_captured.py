"""What machines have sent: believed only when it is what they said, then imported as any other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from ironwake import wire
from ironwake.artifact import Manifest
from ironwake.captured import About, Captured, Part
from ironwake.errors import BrokenError, RefusedError, UnknownError
from ironwake.image import Image, ImageKind
from ironwake_imager.library import captured, packing
from ironwake_imager.library.bring import Importer, Wish
from ironwake_testing.archives import SYSTEM, Entry, tar
from tests.imager.library.test_library import left

NOTHING = Wish("", "")


def untold(done: int, whole: int) -> None:
    """A `packing.Told` that nobody hears."""


def folder(place: Path, name: str = "d1", kind: ImageKind = ImageKind.DISK) -> Path:
    """As the http service makes it."""
    made = place / name
    made.mkdir(parents=True)
    (made / "about.json").write_bytes(wire.encode(About(name, "node1", "web", kind)))
    return made


def finish(made: Path, content: str = "", **changes: Part) -> None:
    parts = {
        path.name: Part(path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in made.iterdir()
        if path.suffix != ".json"
    }
    (made / "done.json").write_bytes(wire.encode(Captured(parts | changes, content)))


@pytest.fixture
def of_disk(tmp_path: Path, disk: Path) -> Path:
    """A disk, whole."""
    made = folder(tmp_path / "captures")
    with (made / "pack").open("wb") as stream:
        packed = packing.pack(disk, stream, untold)
    (made / "index").write_bytes(packed.index.encode())
    finish(made, packed.sha256)
    return made


def take(importing: Importer, place: Path, name: str = "node1") -> Manifest:
    return captured.take(importing, captured.find(place, name), NOTHING)


def test_a_disk_is_the_image_that_it_would_be_by_import(
    importing: Importer, of_disk: Path, disk: Path
) -> None:
    """The same content, the same facts; what waited is gone, and no bench is left."""
    image = Image.of(take(importing, of_disk.parent))
    assert (image.name, image.kind, image.boot_modes) == ("web@1", ImageKind.DISK, ("bios", "uefi"))
    assert image.sha256 == hashlib.sha256(disk.read_bytes()).hexdigest()
    assert image.kernel == "6.1.0-50-amd64"
    assert not of_disk.exists()
    again = importing.bring(Wish(str(disk), "web"))
    assert again.name == "web@1"


def test_a_root_is_judged_as_any_other(importing: Importer, tmp_path: Path) -> None:
    """It comes from a machine that may be anybody's: a hostile member is refused; it waits on."""
    place = tmp_path / "captures"
    bad = folder(place, "d1", ImageKind.ROOT)
    (bad / "archive").write_bytes(tar((*SYSTEM, Entry("../out"))))
    finish(bad)
    with pytest.raises(RefusedError, match="out"):
        take(importing, place)
    assert bad.exists()
    good = folder(place, "d2", ImageKind.ROOT)
    (good / "archive").write_bytes(tar(SYSTEM))
    finish(good)
    image = Image.of(take(importing, place, "d2"))
    assert (image.name, image.kind, image.family) == ("web@1", ImageKind.ROOT, "debian")
    assert not good.exists()


def flipped(name: str) -> Callable[[Path], None]:
    def spoil(made: Path) -> None:
        raw = bytearray((made / name).read_bytes())
        raw[len(raw) // 2] ^= 1
        (made / name).write_bytes(raw)

    return spoil


def believed(name: str) -> Callable[[Path], None]:
    """Spoilt before the machine said what it is."""

    def spoil(made: Path) -> None:
        flipped(name)(made)
        finish(made, "0" * 64)

    return spoil


def other_content(made: Path) -> None:
    finish(made, "0" * 64)


def cut(made: Path) -> None:
    (made / "pack").write_bytes((made / "pack").read_bytes()[:-1])


def gone(made: Path) -> None:
    (made / "index").unlink()


@pytest.mark.parametrize(
    "spoil",
    [
        *(flipped("pack"), flipped("index"), believed("pack"), believed("index")),
        *(other_content, cut, gone),
    ],
)
def test_what_is_not_as_was_said_is_no_image(
    importing: Importer, of_disk: Path, spoil: Callable[[Path], None]
) -> None:
    """A flipped bit, a cut, another whole: refused, nothing is published, and it waits on."""
    spoil(of_disk)
    with pytest.raises(BrokenError):
        take(importing, of_disk.parent)
    assert importing.library.catalogue().images == ()
    assert of_disk.exists()
    assert not left(importing.library)


def test_which_capture_is_meant(tmp_path: Path) -> None:
    """By its deployment or its machine, the newest whole one; one that still comes is not taken."""
    with pytest.raises(UnknownError, match="no capture of node1 waits here; waiting: none"):
        captured.find(tmp_path, "node1")
    folder(tmp_path, "d1")
    with pytest.raises(RefusedError, match="has not come in whole"):
        captured.find(tmp_path, "node1")
    (tmp_path / "d1" / "done.json").write_bytes(wire.encode(Captured()))
    folder(tmp_path, "d2")
    assert captured.find(tmp_path, "node1").about.deployment == "d1"
    assert captured.find(tmp_path, "d1").said == Captured()
    (tmp_path / "d1" / "done.json").write_text("{")
    with pytest.raises(BrokenError, match="is no capture"):
        captured.find(tmp_path, "node1")
