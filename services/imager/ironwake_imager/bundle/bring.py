"""A bundle brought in: staged and verified whole, looked over, and only then put in its places.

Putting in place may be done any number of times: what is there already stays. Whatever the umask of
who imports: all of it can be read by the services, which run as somebody else.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ironwake.artifact import IMAGE, Artifact, ArtifactError, Manifest
from ironwake.bundle import (
    ARTIFACTS,
    CONTAINERS,
    MANIFESTS,
    PACKAGES,
    PAGES,
    PARAMETERS,
    PROFILES,
    SHIPPED,
    WHEELS,
    Bundle,
    BundleError,
    Entry,
)
from ironwake.errors import RefusedError
from ironwake.image import Image, Page, pages_of
from ironwake.packagecache import Source
from ironwake.progress import Progress
from ironwake.sizes import size_text
from ironwake_imager.bundle import room
from ironwake_imager.bundle import stage as staging
from ironwake_imager.bundle.archive import Reader
from ironwake_imager.bundle.room import Target
from ironwake_imager.bundle.stage import Stage
from ironwake_runtime import durable, images, packagecache
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.durable import FILE_MODE

_STEP = "bundle"
_OWN = (PROFILES, PARAMETERS)  # people write to these: they share their bytes with nothing


@dataclass(frozen=True)
class Places:
    """Where things go.

    :ivar cache: a folder on a disk with room for the whole bundle
    :ivar packages: the package cache's
    :ivar check: raises IronwakeError for the text of a profile, or of parameters, that is none:
        path in the bundle, bytes
    :ivar disks: what a folder stands on
    """

    cache: Path
    store: ArtifactStore
    packages: Path
    profiles: Path
    parameters: Path
    check: Callable[[str, bytes], object]
    disks: room.Disks = room.disk

    @property
    def product(self) -> Path:
        """Where wheels and containers are left for a person."""
        return self.cache / "product"

    def folder(self, kind: str) -> Path:
        """Where the files of one of a bundle's folders go, by the rest of their paths."""
        return {
            ARTIFACTS: self.store.directory,
            PROFILES: self.profiles,
            PARAMETERS: self.parameters,
            PACKAGES: packagecache.mirrors_folder(self.packages),
            WHEELS: self.product / WHEELS,
            CONTAINERS: self.product / CONTAINERS,
        }[kind]


@dataclass
class Brought:
    """What was done: names. `kept`: files of the site's own that are other than the bundle's."""

    bundle: Bundle
    media: list[str]
    images: list[str]
    profiles: list[str]
    parameters: list[str]
    mirrors: list[str]
    wheels: list[Path]
    containers: list[Path]
    kept: list[str]


def bring(file: Path, places: Places, progress: Progress, replace: bool = False) -> Brought:
    """Bring it in.

    :param replace: the site's own profiles and parameters too, where the bundle has others
    :raises BundleError: it is not as it was made; nothing was changed then
    :raises RefusedError: there is no room, an image of that name is another one, or another run
        is at it
    """
    with file.open("rb") as stream:
        reader = Reader(stream)
        with staging.opened(places.cache / "bundles", reader.text) as stage:
            bundle, above = reader.bundle, stage.folder.parent
            room.check(above, stage.missing(bundle), _targets(bundle, places), places.disks)
            whole = size_text(bundle.size)

            def told(done: int, size: int) -> None:
                progress(_STEP, done / max(size, 1), f"verifying {whole}")

            reader.read(stage, told)
            progress(_STEP, None, "putting it in place")
            placing = _Placing(bundle, stage, places, replace)
            placing.look_over()
            brought = placing.place()
            stage.clear()
    progress(_STEP, 1.0, "all of it is there")
    return brought


def _targets(bundle: Bundle, places: Places) -> Iterator[Target]:
    """Manifests and the like are small: they are not counted."""
    store = places.store
    lacking = (
        one.size for one in bundle.of(ARTIFACTS) if not store.has(Artifact(one.sha256, one.size))
    )
    yield Target(places.folder(ARTIFACTS), sum(lacking))
    for kind in (PROFILES, PARAMETERS, PACKAGES, WHEELS, CONTAINERS):
        folder, new, again = places.folder(kind), 0, 0
        for entry in bundle.of(kind):
            if (folder / entry.rest).exists():
                again = max(again, entry.size)
            else:
                new += entry.size
        yield Target(folder, new, again, shared=kind not in _OWN)


class _Placing:
    def __init__(self, bundle: Bundle, stage: Stage, places: Places, replace: bool) -> None:
        self._bundle = bundle
        self._stage = stage
        self._places = places
        self._replace = replace
        self._manifests: list[Manifest] = []
        self._pages: Mapping[str, Page] = {}
        self._kept: list[str] = []

    def look_over(self) -> None:
        """Everything that can be wrong, before the first change."""
        store = self._places.store
        there = {entry.sha256: entry.size for entry in self._bundle.of(ARTIFACTS)}
        for entry in self._bundle.of(MANIFESTS):
            manifest = self._manifest(entry)
            for role, one in manifest.artifacts.items():
                if there.get(one.sha256) != one.size and not store.has(one):
                    raise BundleError(f"{role} of {manifest.name} is not in it")
            self._manifests.append(manifest)
        for entry in self._bundle.of(PAGES):
            try:
                self._pages = pages_of(json.loads(self._stage.read(entry)))
            except ValueError as error:
                raise BundleError(f"{PAGES}: {error}") from None
        for entry in (*self._bundle.of(PROFILES), *self._bundle.of(PARAMETERS)):
            if entry.path.endswith((".yaml", ".yml")):
                self._places.check(entry.path, self._stage.read(entry))
        here = {one.name: one for one in store.manifests()}
        for manifest in self._manifests:
            own = here.get(manifest.name)
            if manifest.kind == IMAGE and own and own.artifacts != manifest.artifacts:
                raise RefusedError(
                    f"there is another image {manifest.name} here already",
                    f"run: ironwake image rm {manifest.name}; or make the image anew by another "
                    "name",
                )

    def _manifest(self, entry: Entry) -> Manifest:
        try:
            manifest = Manifest.from_json(self._stage.read(entry))
            if manifest.kind == IMAGE:
                Image.of(manifest)
        except ArtifactError as error:
            raise BundleError(f"{entry.path}: {error}") from None
        if entry.rest != f"{manifest.name}.json":
            raise BundleError(f"{entry.path} is the manifest of {manifest.name!r}")
        return manifest

    def place(self) -> Brought:
        """Put everything in its place."""
        self._artifacts()
        mirrors = self._mirrors()
        return Brought(
            bundle=self._bundle,
            media=[one.name for one in self._manifests if one.kind != IMAGE],
            images=[one.name for one in self._manifests if one.kind == IMAGE],
            profiles=self._texts(PROFILES),
            parameters=self._texts(PARAMETERS),
            mirrors=mirrors,
            wheels=self._files(WHEELS),
            containers=self._files(CONTAINERS),
            kept=self._kept,
        )

    def _artifacts(self) -> None:
        store = self._places.store
        if not self._manifests:
            return
        with store.changing():
            for entry in self._bundle.of(ARTIFACTS):
                store.adopt(self._stage.path(entry), Artifact(entry.sha256, entry.size))
            here = {one.name: one for one in store.manifests()}
            if self._pages:
                images.write(store, _merged(images.pages(store), self._pages))
            for manifest in self._manifests:
                own = here.get(manifest.name)
                if own is None or own.built <= manifest.built:
                    store.publish(manifest)
                elif own != manifest:
                    self._kept.append(f"{manifest.name}, built {own.built}")

    def _mirrors(self) -> list[str]:
        """Lists that point to files come after them: whoever reads meanwhile finds all of them."""
        folder = self._places.folder(PACKAGES)
        for entry in sorted(self._bundle.of(PACKAGES), key=_is_pointer):
            self._put(entry, folder / entry.rest)
        for name, urls in self._bundle.mirrors.items():
            packagecache.remember(self._places.packages, Source(name, "", urls))
        return sorted(self._bundle.mirrors)

    def _texts(self, kind: str) -> list[str]:
        """Files that people wrote: the site's own are not written over unless that is asked for.

        One that the product came with, and nobody has changed, is nobody's own.
        """
        placed = []
        for entry in self._bundle.of(kind):
            target = self._places.folder(kind) / entry.rest
            here = hashlib.sha256(target.read_bytes()).hexdigest() if target.exists() else ""
            if here == entry.sha256:
                continue
            if here and here not in SHIPPED.get(entry.path, ()) and not self._replace:
                self._kept.append(str(target))
                continue
            self._put(entry, target)
            placed.append(entry.rest)
        return placed

    def _files(self, kind: str) -> list[Path]:
        placed = []
        for entry in self._bundle.of(kind):
            target = self._places.folder(kind) / entry.rest
            self._put(entry, target)
            placed.append(target)
        return placed

    def _put(self, entry: Entry, target: Path) -> None:
        durable.open_folder(target.parent)
        aside = target.with_name(f".{target.name[:200]}.new")
        aside.unlink(missing_ok=True)
        try:
            if entry.folder in _OWN:
                raise OSError
            os.link(self._stage.path(entry), aside)
        except OSError:  # another file system
            shutil.copyfile(self._stage.path(entry), aside)
            aside.chmod(FILE_MODE)
            with aside.open("rb") as copy:  # the staged bytes go: a power cut shall not take both
                os.fsync(copy.fileno())
        aside.replace(target)
        aside.unlink(missing_ok=True)  # rename(2) does nothing where both are one file already
        durable.sync_folder(target.parent)


def _is_pointer(entry: Entry) -> bool:
    return entry.path.rpartition("/")[2] in ("InRelease", "Release", "Release.gpg", "repomd.xml")


def _merged(own: Mapping[str, Page], brought: Mapping[str, Page]) -> dict[str, Page]:
    """No version is given twice, and a tag that stands here stays where it is."""
    merged = dict(own)
    for name, page in brought.items():
        here = merged.get(name, Page())
        words = tuple(dict.fromkeys((*here.words, *page.words)))
        merged[name] = Page(max(here.last, page.last), words, {**page.tags, **here.tags})
    return merged
