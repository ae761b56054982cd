"""What is done with images that are there: looked over, compared, written out."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from ironwake.artifact import ArtifactError, Manifest
from ironwake.errors import BrokenError, RefusedError
from ironwake.image import Image, ImageKind
from ironwake.pack import Index
from ironwake.progress import Progress
from ironwake.sizes import size_text
from ironwake_imager.library import differ, packages, packing
from ironwake_imager.library.library import Library
from ironwake_runtime import durable
from ironwake_runtime.artifacts import ArtifactStore

_PIECE = 1 << 20


def verify(library: Library, reference: str, progress: Progress) -> Image:
    """Hash everything again: the artifacts, each block, the whole content.

    :raises BrokenError: says what is damaged
    """
    image, manifest = library.find(reference)
    for role, artifact in manifest.artifacts.items():
        progress(image.name, None, f"hashing {role}")
        if not library.store.has(artifact):
            raise ArtifactError(f"the bytes of {role} of {image.name} are not there", _again(image))
        with library.store.path(artifact.sha256).open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != artifact.sha256:
                raise ArtifactError(
                    f"the bytes of {role} of {image.name} are others", _again(image)
                )
    if image.kind is ImageKind.DISK:
        index = index_of(library.store, manifest)
        _check(image, index)
        found = packing.content_sha256(
            _pack(library.store, manifest), index, _told(progress, image, "unpacking")
        )
        if found != image.sha256:
            raise ArtifactError(f"the content of {image.name} is another one", _again(image))
    progress(image.name, 1.0, "all of it is as it was imported")
    return image


def diff(library: Library, before: str, after: str) -> differ.ImageDifference:
    """Compare two images."""
    (one, first), (two, second) = library.find(before), library.find(after)
    disks = one.kind is ImageKind.DISK and two.kind is ImageKind.DISK
    store = library.store
    return differ.ImageDifference(
        before=one.name,
        after=two.name,
        blocks=differ.blocks(index_of(store, first), index_of(store, second)) if disks else None,
        packages=packages.difference(packages_of(store, first), packages_of(store, second)),
        facts=differ.facts(one, two),
    )


def export(
    library: Library, reference: str, target: Path, progress: Progress, force: bool = False
) -> Image:
    """Write a disk as a raw file with holes, or a root as a tar.zst; whole, or not at all.

    :raises RefusedError: the file is there already
    :raises PackError: the pack is damaged
    """
    image, manifest = library.find(reference)
    if target.exists() and not force:
        raise RefusedError(f"{target} is there already", "name another file, or give --force")
    with durable.whole(target) as stream:
        if image.kind is ImageKind.DISK:
            _write_disk(library.store, image, manifest, stream, progress)
        else:
            _write_root(library.store, image, manifest, stream, progress)
    progress(image.name, 1.0, f"it is in {target}")
    return image


def index_of(store: ArtifactStore, manifest: Manifest) -> Index:
    """A disk's index."""
    return Index.decode(store.path(manifest.artifact("index").sha256).read_bytes())


def packages_of(store: ArtifactStore, manifest: Manifest) -> packages.Packages:
    """The packages of an image; none where nobody knows them."""
    artifact = manifest.artifacts.get("packages")
    if artifact is None:
        return ()
    return packages.parse(store.path(artifact.sha256).read_text(encoding="utf-8"))


def _write_disk(
    store: ArtifactStore, image: Image, manifest: Manifest, stream: BinaryIO, progress: Progress
) -> None:
    index = index_of(store, manifest)
    told = _told(progress, image, "writing")
    for place, plain in packing.unpack(_pack(store, manifest), index):
        stream.seek(place)
        stream.write(plain)
        told(place, index.size)
    stream.truncate(index.size)


def _write_root(
    store: ArtifactStore, image: Image, manifest: Manifest, stream: BinaryIO, progress: Progress
) -> None:
    artifact = manifest.artifact("archive")
    told = _told(progress, image, "writing")
    digest = hashlib.sha256()
    with store.path(artifact.sha256).open("rb") as source:
        while piece := source.read(_PIECE):
            digest.update(piece)
            stream.write(piece)
            told(stream.tell(), artifact.size)
    if digest.hexdigest() != artifact.sha256:
        raise ArtifactError(f"the archive of {image.name} is damaged", _again(image))


def _check(image: Image, index: Index) -> None:
    if index.size != image.size:
        raise BrokenError(
            f"the index of {image.name} is of a disk of {index.size} bytes, not {image.size}",
            _again(image),
        )


def _pack(store: ArtifactStore, manifest: Manifest) -> Path:
    return store.path(manifest.artifact("pack").sha256)


def _told(progress: Progress, image: Image, doing: str) -> packing.Told:
    def told(done: int, whole: int) -> None:
        progress(image.name, done / whole, f"{doing} {size_text(whole)}")

    return told


def _again(image: Image) -> str:
    return f"remove {image.name} and import it again"
