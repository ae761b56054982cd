"""What goes into a bundle: of the store, of people's files, of mirrors, of the product."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ironwake.artifact import IMAGE, Manifest, ramdisk_name
from ironwake.bundle import (
    ARTIFACTS,
    CONTAINERS,
    MANIFESTS,
    PACKAGES,
    PAGES,
    PARAMETERS,
    PROFILES,
    WHEELS,
    Bundle,
    Entry,
    is_path,
    sorted_entries,
)
from ironwake.errors import InputError, RefusedError
from ironwake.firmware import Architecture
from ironwake.image import pages_document
from ironwake.profile import Method, Profile
from ironwake.release import Release
from ironwake.site import how_to_get
from ironwake_imager.bundle.closure import Part, System, status_of
from ironwake_runtime import folders, images
from ironwake_runtime.artifacts import ArtifactStore

_LOADERS = "loaders"


@dataclass(frozen=True)
class Wanted:
    """A profile, as it was read; `release` is None for one that is made of an image."""

    name: str
    profile: Profile
    release: Release | None


class Gathering:
    """Files for a bundle, by their paths in it.

    :param ramdisk: the deploy ramdisk's flavour
    """

    def __init__(
        self, store: ArtifactStore, ramdisk: str, architectures: tuple[Architecture, ...]
    ) -> None:
        self._store = store
        self._ramdisk = ramdisk
        self._architectures = architectures
        self._known = {one.name: one for one in store.manifests()}
        self._manifests: dict[str, Manifest] = {}
        self.files: dict[str, Path] = {}
        self._urls: dict[str, tuple[str, ...]] = {}

    def manifests_of(self, one: Wanted) -> tuple[str, ...]:
        """What its machines are served; RefusedError where something was not built."""
        method, names = one.profile.method, [_LOADERS]
        for architecture in self._of(one):
            if method is Method.LIVE and one.release:
                names.append(one.release.live(architecture))
                continue
            if not method.is_vendors:
                names.append(ramdisk_name(self._ramdisk, architecture))
            if one.release:
                names.append(one.release.medium(architecture))
        if one.profile.image:
            names.append(images.catalogue(self._store).find(one.profile.image).name)
        return tuple(dict.fromkeys(names))

    def _of(self, one: Wanted) -> Iterable[Architecture]:
        if one.release is None:
            return self._architectures
        there = [item for item in self._architectures if item in one.release.architectures]
        if not there:
            kinds = ", ".join(self._architectures)
            raise RefusedError(f"{one.release.name} is not for {kinds}", "name another", one.name)
        return there

    def media(self, names: Iterable[str]) -> None:
        """Take manifests and their bytes."""
        wanted = dict.fromkeys(names)
        if missing := [name for name in wanted if name not in self._known]:
            raise RefusedError(f"{', '.join(missing)} was not built", how_to_get(*missing))
        for name in wanted:
            manifest = self._known[name]
            self._manifests[name] = manifest
            self._add(f"{MANIFESTS}/{name}.json", self._store.directory / f"manifests/{name}.json")
            for item in manifest.artifacts.values():
                self._add(f"{ARTIFACTS}/{item.sha256}", self._store.path(item.sha256))

    def pages(self, folder: Path) -> None:
        """Versions and tags of the images that were taken."""
        taken = [one for one in self._manifests.values() if one.kind == IMAGE]
        names = {one.name.partition("@")[0] for one in taken}
        labels = {one.name for one in taken}
        pages = {name: page for name, page in images.pages(self._store).items() if name in names}
        if pages:
            document = pages_document(pages)
            for name, row in document.items():  # a tag of an image that stays here means nothing
                row["tags"] = {
                    tag: at for tag, at in row["tags"].items() if f"{name}@{at}" in labels
                }
            path = folder / PAGES
            path.write_text(json.dumps(document, indent=1, sort_keys=True))
            self._add(PAGES, path)

    def profiles(self, folder: Path, names: Iterable[str]) -> None:
        """Profiles' files, and templates and whatever else lies beside them in folders."""
        for name in names:
            found = [folder / f"{name}{end}" for end in (".yaml", ".yml")]
            path = next((one for one in found if one.is_file()), None)
            if path is None:
                raise InputError(f"there is no profile {name!r:.60}", f"they are in {folder}")
            self._add(f"{PROFILES}/{path.name}", path)
        for path in _tree(folder):
            if path.suffix not in (".yaml", ".yml"):
                self._add(f"{PROFILES}/{path.relative_to(folder)}", path)

    def parameters(self, folder: Path) -> None:
        """All of the site's."""
        for path in _tree(folder):
            self._add(f"{PARAMETERS}/{path.relative_to(folder)}", path)

    def systems(
        self, profiles: Iterable[Wanted], further: Iterable[tuple[str, ...]]
    ) -> tuple[System, ...]:
        """To what packages are added, and which: a profile's, and each further set."""
        sets = [tuple(one) for one in further if one]
        found = []
        for one in profiles:
            if one.profile.method is not Method.ARCHIVE or one.release is None:
                raise RefusedError(
                    f"packages can be bundled for a release by method archive, not for {one.name}",
                    "leave that profile out, or put the packages into its image",
                    one.name,
                )
            own = tuple(str(name) for name in one.profile.parameters.get("packages", ()))
            wanted = tuple(dict.fromkeys(each for each in (own, *sets) if each))
            for architecture in self._of(one):
                archive = self._known[one.release.medium(architecture)].artifact("archive")
                status = status_of(self._store.path(archive.sha256))
                found.append(System(one.release.codename, architecture, status, wanted))
        return tuple(found)

    def packages(self, parts: Mapping[str, Part]) -> None:
        """Parts of mirrors."""
        for name, part in parts.items():
            self._urls[name] = part.urls
            for path, file in part.files.items():
                self._add(f"{PACKAGES}/{name}/{path}", file)

    def product(self, wheels: Iterable[Path] = (), containers: Path | None = None) -> None:
        """The product itself."""
        for path in wheels:
            self._add(f"{WHEELS}/{path.name}", path)
        if containers is not None:
            self._add(f"{CONTAINERS}/{containers.name}", containers)

    def bundle(self, now: datetime, version: str) -> Bundle:
        """What it says of itself: every file is read once for that."""
        entries = [_entry(path, file) for path, file in self.files.items()]
        made = now.isoformat(timespec="seconds")
        return Bundle(made, version, sorted_entries(entries), self._urls)

    def _add(self, path: str, file: Path) -> None:
        if not is_path(path):
            raise RefusedError(f"{path!r:.200} cannot stand in a bundle", "give it a plainer name")
        self.files[path] = file


def _tree(folder: Path) -> Iterable[Path]:
    """Plain files, hidden ones left out; links that lead to others of them are as good.

    :raises InputError: a link leads elsewhere
    """
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not is_hidden and path.is_file():
            folders.own(path, folder)
            yield path


def _entry(path: str, file: Path) -> Entry:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return Entry(path, digest, stream.tell())
