"""Where images stand: the artifact store, with versions and tags.

An import works on a bench, a folder on the store's own disk. Nothing of it is visible until
`publish` moves the finished files in and names them, all under the store's lock. A bench has a lock
that ends with its owner, so that the next one finds out which are left over and clears them away.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from ironwake.artifact import IMAGE, Artifact, Fact, Manifest
from ironwake.errors import RefusedError
from ironwake.image import Catalogue, Image, Page, Reference
from ironwake_runtime import durable, images
from ironwake_runtime.artifacts import ArtifactStore

_BENCH = ".bench-"
_LOCK = "lock"
_SETTLING = "settling.json"  # hashes that the store may have got from this bench without a manifest


class Library:
    """The images of one store. Any number of processes may import and remove at once."""

    def __init__(
        self,
        store: ArtifactStore,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.store = store
        self._now = now

    def catalogue(self) -> Catalogue:
        """All images as they are now."""
        return images.catalogue(self.store)

    def find(self, reference: str) -> tuple[Image, Manifest]:
        """What a reference means now; UnknownError where it means nothing."""
        image = self.catalogue().find(reference)
        return image, self.store.manifest(image.name)

    @contextmanager
    def bench(self) -> Iterator[Path]:
        """A folder to work in, on the store's own disk; it is gone at the end."""
        self.clear()
        durable.open_folder(self.store.directory)
        with self.store.changing():  # or it would be cleared away before its lock is taken
            bench = Path(tempfile.mkdtemp(prefix=_BENCH, dir=self.store.directory))
            lock = _locked(bench)
        try:
            yield bench
        finally:
            shutil.rmtree(bench, ignore_errors=True)
            if lock is not None:
                lock.close()

    def clear(self) -> None:
        """Take away what imports left that were killed: their benches, and bytes without a name."""
        for bench in self.store.directory.glob(f"{_BENCH}*"):
            with self.store.changing():
                lock = _locked(bench)
                if lock is None:
                    continue  # somebody works there
                with lock:
                    self.store.collect(_settling(bench))
                    shutil.rmtree(bench, ignore_errors=True)

    def publish(
        self,
        name: str,
        artifacts: Mapping[str, Path],
        files: Mapping[str, str],
        facts: Mapping[str, Fact],
    ) -> Manifest:
        """Make an image of finished files, all of one bench, and give it its version.

        :param name: `debian-web`, which gets the next number, or `debian-web@word`
        :param artifacts: role → file, which is moved
        :param files: role → the file name that a person would give it
        :param facts: see `ironwake.image.Image.of`; `sequence` is added here
        :raises RefusedError: that version was given before, to other contents
        """
        wanted = Reference(name)
        known = {role: _hashed(path) for role, path in artifacts.items()}
        with self.store.changing():
            pages = images.pages(self.store)
            same = self._same(wanted, known, facts)
            if same is not None:
                return same
            page = self._page(wanted.name, pages)
            version = wanted.label or page.next_version()
            after = page.given(version)
            manifest = Manifest(
                name=f"{wanted.name}@{version}",
                kind=IMAGE,
                built=self._now().isoformat(timespec="seconds"),
                inputs=str(facts.get("content_sha256", "")),
                artifacts=known,
                files=files,
                facts={**facts, "sequence": after.last + len(after.words)},
            )
            Image.of(manifest)  # what cannot be read again must not get a name
            # Used up before it is seen: a number is lost at worst, never given twice.
            images.write(self.store, {**pages, wanted.name: after})
            self._settle(artifacts, known)
            self.store.publish(manifest)
        return manifest

    def tag(self, reference: str, tag: str) -> Image:
        """Let the tag stand at that version, wherever it stood before."""
        with self.store.changing():
            catalogue = self.catalogue()
            image = catalogue.find(reference)
            name, version = image.reference.name, image.reference.label
            page = self._page(name, catalogue.pages)
            if any(one.reference.label == tag for one in catalogue.versions(name)):
                raise RefusedError(f"{tag!r} is a version of {name}", "choose another tag")
            images.write(self.store, {**catalogue.pages, name: page.tagged(tag, version)})
        return image

    def untag(self, name: str, tag: str) -> None:
        """Take a tag away; UnknownError where there is none."""
        with self.store.changing():
            pages = images.pages(self.store)
            page = pages.get(Reference(name).name, Page()).untagged(tag)
            images.write(self.store, {**pages, Reference(name).name: page})

    def remove(self, reference: str, force: bool = False) -> Image:
        """Take an image away for good, and with `force` its tags, too."""
        with self.store.changing():
            catalogue = self.catalogue()
            image = catalogue.find(reference)
            name = image.reference.name
            tags = catalogue.tags(image)
            if tags and not force:
                raise RefusedError(
                    f"{image.name} has the tag {', '.join(tags)}",
                    "move the tag to another version first, or remove it with --force",
                )
            page = self._page(name, catalogue.pages)
            for tag in tags:
                page = page.untagged(tag)
            images.write(self.store, {**catalogue.pages, name: page})
            self.store.withdraw(image.name)
        return image

    def _page(self, name: str, pages: Mapping[str, Page]) -> Page:
        """What is written down, and what is there: the file may be an older copy."""
        page = pages.get(name, Page())
        labels = [one.reference.label for one in self.catalogue().versions(name)]
        numbers = [int(label) for label in labels if label.isdigit()]
        words = [label for label in labels if not label.isdigit() and label not in page.words]
        return replace(page, last=max(page.last, *numbers, 0), words=(*page.words, *words))

    def _same(
        self, wanted: Reference, known: Mapping[str, Artifact], facts: Mapping[str, Fact]
    ) -> Manifest | None:
        """The image that this one would only repeat: the newest, or the one of the same name."""
        versions = self.catalogue().versions(wanted.name)
        if wanted.label:
            versions = tuple(one for one in versions if one.reference.label == wanted.label)
        if not versions:
            return None
        manifest = self.store.manifest(versions[-1].name)
        content = facts.get("content_sha256")
        whole = all(self.store.has(artifact) for artifact in manifest.artifacts.values())
        alike = manifest.artifacts == known or (
            content and content == manifest.facts.get("content_sha256")
        )
        return manifest if whole and alike else None

    def _settle(self, artifacts: Mapping[str, Path], known: Mapping[str, Artifact]) -> None:
        fresh = {role: item for role, item in known.items() if not self.store.has(item)}
        bench = next((path.parent for path in artifacts.values()), None)
        if bench is not None:
            hashes = [item.sha256 for item in fresh.values()]
            durable.replace(bench / _SETTLING, json.dumps(hashes).encode())
        for role, item in fresh.items():
            if not self.store.has(item):  # two roles may be the same bytes
                self.store.take(artifacts[role], item)


def _locked(bench: Path) -> TextIO | None:
    """The bench's lock, or None where its owner lives, or has just cleared it away."""
    try:
        lock = (bench / _LOCK).open("w")
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _settling(bench: Path) -> list[str]:
    try:
        return [str(item) for item in json.loads((bench / _SETTLING).read_bytes())]
    except (OSError, ValueError):
        return []


def _hashed(path: Path) -> Artifact:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return Artifact(digest, stream.tell())
