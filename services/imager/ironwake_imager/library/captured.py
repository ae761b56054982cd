"""What machines have sent of themselves becomes images, like anything else that comes from outside.

The http service keeps a folder for each capture (`ironwake.captured`): who it is of, as the
appliance knows it, and the parts, which a machine has sent and which are believed only once they
are what it said: each hash, and each block of a disk.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ironwake import wire
from ironwake.artifact import Manifest
from ironwake.captured import DONE, PARTS, About, Captured
from ironwake.errors import BrokenError, IronwakeError, RefusedError, UnknownError
from ironwake.image import ImageKind
from ironwake.pack import Index
from ironwake.sizes import size_text
from ironwake_imager.library import packing
from ironwake_imager.library.bring import Importer, Wish

_MOST_SAID: Final = 1 << 20
_LARGEST_INDEX: Final = 4 << 30


@dataclass(frozen=True)
class Staged:
    """One capture that waits; all of it is there where `said` is."""

    folder: Path
    about: About
    said: Captured | None

    def part(self, name: str) -> Path:
        return self.folder / name


def staged(folder: Path) -> tuple[Staged, ...]:
    """All that wait, the oldest first."""
    places = folder.glob("d*/about.json") if folder.is_dir() else iter(())
    found = [(path.stat().st_mtime_ns, path.parent) for path in places]
    return tuple(_read(place) for _, place in sorted(found))


def find(folder: Path, name: str) -> Staged:
    """That of this deployment, or the newest whole one of this machine; UnknownError for none."""
    there = staged(folder)
    meant = [one for one in there if name in (one.about.deployment, one.about.machine)]
    whole = [one for one in meant if one.said is not None]
    if whole:
        return whole[-1]
    if meant:
        raise RefusedError(
            f"the capture of {name} has not come in whole", f"see: ironwake watch {name}"
        )
    waiting = ", ".join(one.about.deployment for one in there) or "none"
    raise UnknownError(
        f"no capture of {name:.60} waits here; waiting: {waiting}",
        "take it on the host that runs the http service, with its settings",
    )


def take(importer: Importer, one: Staged, wish: Wish) -> Manifest:
    """Make the image of it, and take away what waited.

    :param wish: what a person says of it; its source and name are the capture's
    :raises BrokenError: it is not what the machine said
    :raises RefusedError: it must not become an image
    """
    about = one.about
    try:
        with importer.room(), _believed(one, importer) as path:
            if about.kind is ImageKind.ROOT:
                meant = Wish(str(path), about.image, root=wish.root)
            else:
                meant = Wish(str(path), about.image, disk=wish.disk)
            manifest = importer.bring(meant)
    except FileNotFoundError as error:
        raise BrokenError(
            f"a part of the capture of {about.machine} is gone: {error}", "capture it again"
        ) from None
    shutil.rmtree(one.folder)
    return manifest


@contextmanager
def _believed(one: Staged, importer: Importer) -> Iterator[Path]:
    """A file that an import takes, once all of it was looked at."""
    assert one.said is not None  # noqa: S101 - `find` gives no others
    about, said = one.about, one.said
    if said.parts.keys() != set(PARTS[about.kind]):
        raise _other(one, f"it has the parts {', '.join(said.parts)}")
    for name, part in said.parts.items():
        importer.progress("capture", None, f"hashing {name}")
        with one.part(name).open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
            if (stream.tell(), found) != (part.size, part.sha256):
                raise _other(one, f"{name} is other than was said")
    if about.kind is ImageKind.ROOT:
        with importer.library.bench() as bench:
            yield _linked(one.part("archive"), bench / f"{about.machine}.tar.zst")
        return
    with importer.library.bench() as bench:
        raw = bench / f"{about.machine}.disk"
        _write(one, said, raw, importer)
        yield raw


def _write(one: Staged, said: Captured, raw: Path, importer: Importer) -> None:
    """The disk as a file with holes; the pack's blocks and the whole are compared."""
    if said.parts["index"].size > _LARGEST_INDEX:
        raise _other(one, "its index is too long")
    index = Index.decode(one.part("index").read_bytes())
    digest, done = hashlib.sha256(), 0
    with raw.open("xb") as target:
        for place, plain in packing.unpack(one.part("pack"), index):
            packing.zeroes(digest.update, place - done)
            digest.update(plain)
            target.seek(place)
            target.write(plain)
            done = place + len(plain)
            text = f"looking over {size_text(index.size)}"
            importer.progress("capture", done / index.size, text)
        packing.zeroes(digest.update, index.size - done)
        target.truncate(index.size)
    if digest.hexdigest() != said.content_sha256:
        raise _other(one, "its content is other than was said")


def _linked(archive: Path, name: Path) -> Path:
    name.symlink_to(archive.absolute())
    return name


def _other(one: Staged, how: str) -> BrokenError:
    return BrokenError(f"the capture of {one.about.machine} is damaged: {how}", "capture it again")


def _read(folder: Path) -> Staged:
    try:
        about = wire.decode(About, _text(folder / "about.json"))
        done = folder / f"{DONE}.json"
        said = wire.decode(Captured, _text(done)) if done.exists() else None
    except (OSError, IronwakeError) as error:
        raise BrokenError(f"is no capture: {error}", "delete it", str(folder)) from None
    return Staged(folder, about, said)


def _text(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_MOST_SAID)
