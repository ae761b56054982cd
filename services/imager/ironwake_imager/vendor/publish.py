"""Media into the store: an ISO (or a folder) with its table and what is taken out, or single files.

The bytes are hashed while they come in. Where they are not what they should be, nothing of them
stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ironwake import medium as media
from ironwake import wire
from ironwake.artifact import Artifact, Fact, Manifest
from ironwake.errors import RefusedError, UnknownError
from ironwake.iso import wim
from ironwake.iso.image import IsoError, Place, Tree
from ironwake.iso.table import Table, encode
from ironwake.medium import Contents, Medium
from ironwake.progress import Progress
from ironwake.sizes import size_text
from ironwake_imager.vendor import inside, opened
from ironwake_imager.vendor.checksums import Checksum
from ironwake_imager.vendor.folder import Folder
from ironwake_runtime.artifacts import ArtifactStore

ISO, CONTENTS, TREE = "iso", "contents", "tree"
_CHUNK = 1 << 20
_LONGEST_FACT = 32 << 10  # characters
_INSTALL = "sources/install.wim|sources/install.esd"


@dataclass(frozen=True)
class Origin:
    """Where bytes are from, and how it is known that they are the right ones.

    `ours`: nobody else needs the file.
    """

    source: str
    trust: str
    checksum: Checksum | None = None
    ours: bool = False


@dataclass(frozen=True)
class Publisher:
    """Puts media into the store, and tells how far it is. `known`: all media there are."""

    store: ArtifactStore
    progress: Progress
    known: Mapping[str, Medium]
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def iso(self, medium: Medium, path: Path, origin: Origin) -> Manifest:
        """An ISO file; RefusedError where it is another medium, damaged, or another file.

        One of our own (`origin.ours`) is moved into the store, where that is on the same disk.
        """
        with opened.opened(path) as contents:
            self._check_fits(medium, contents, path)
        whole = path.stat().st_size
        with self._added() as added:
            holder = added(path, origin, self._told(medium, whole))
            # Read once more, where nobody changes it any longer.
            with opened.opened(self.store.path(holder.sha256)) as contents:
                self._check_fits(medium, contents, path)
                about = _Inside(contents, contents.volume.tree, holder, ISO, f"{medium.name}.iso")
                return self._publish_inside(medium, about, origin, added)

    def folder(self, medium: Medium, path: Path, origin: Origin) -> Manifest:
        """A folder with the files of a medium."""
        contents = Folder(path)
        self._check_fits(medium, contents, path)
        whole = sum(place.size for place in contents.tree.files.values())
        with self._added() as added:
            told = self._told(medium, whole)
            holder = added.chunks(_counted(contents.chunks(), told))
            about = _Inside(contents, contents.tree, holder, CONTENTS, f"{medium.name}.bin")
            return self._publish_inside(medium, about, origin, added)

    def files(
        self, medium: Medium, paths: Mapping[str, Path], origins: Iterable[Origin]
    ) -> Manifest:
        """Single files by role, with the names that the catalogue has for them."""
        listed = tuple(origins)
        artifacts: dict[str, Artifact] = {}
        with self._added() as added:
            for (role, path), origin in zip(paths.items(), listed, strict=True):
                told = self._told(medium, path.stat().st_size)
                artifacts[role] = added(path, origin, told)
            names = {
                role: medium.names.get(role) or medium.fetch[role].rpartition("/")[2]
                for role in paths
            }
            facts = {"trust": listed[0].trust, "source": ", ".join(one.source for one in listed)}
            return self._publish(medium, artifacts, names, facts)

    def _publish_inside(
        self, medium: Medium, about: _Inside, origin: Origin, added: _Added
    ) -> Manifest:
        table = Table(about.holder, about.tree)
        artifacts = {about.role: about.holder, TREE: added.chunks(iter((encode(table),)))}
        names = {about.role: about.file, TREE: f"{medium.name}.json"}
        paths = {role: _need(about.contents, role, path) for role, path in medium.take.items()}
        lists = inside.expected(about.contents, paths.values())
        for role, path in paths.items():
            place = about.tree.find(path)
            assert place is not None  # noqa: S101 (`_need` found it)
            algorithm, digest = lists.get(path, ("sha256", ""))
            if digest and inside.digest(algorithm, self._part(about.holder, place)) != digest:
                raise RefusedError(
                    f"{path} differs from what the medium's own list says of it",
                    "the medium is damaged: get it again",
                )
            artifacts[role] = added.chunks(self._part(about.holder, place))
            names[role] = medium.served(role, path)
        facts: dict[str, Fact] = {
            "volume": about.contents.label,
            "source": origin.source,
            "trust": origin.trust,
            "files": len(about.tree.files),
            **_told_facts(medium, about.contents),
        }
        return self._publish(medium, artifacts, names, facts)

    def _publish(
        self,
        medium: Medium,
        artifacts: Mapping[str, Artifact],
        names: Mapping[str, str],
        facts: Mapping[str, Fact],
    ) -> Manifest:
        described = wire.encode((medium, dict(sorted(artifacts.items()))))
        manifest = Manifest(
            name=medium.name,
            kind="media",
            built=self.now().isoformat(timespec="seconds"),
            inputs=hashlib.sha256(described).hexdigest(),
            artifacts=artifacts,
            files=names,
            facts={**facts, "architecture": str(medium.architecture)},
        )
        with self.store.changing():
            before = self._before(medium.name)
            self.store.publish(manifest)
            self.store.collect(item.sha256 for item in before)
        self.progress(medium.name, 1.0, f"{facts['trust']}: {facts['source']}")
        return manifest

    def _before(self, name: str) -> tuple[Artifact, ...]:
        try:
            return tuple(self.store.manifest(name).artifacts.values())
        except UnknownError:
            return ()

    def _check_fits(self, medium: Medium, contents: Contents, path: Path) -> None:
        """RefusedError where these are another medium's contents."""
        if not medium.fits(contents):
            others = media.recognise(contents, self.known.values())
            step = f"add it with: ironwake media add {others[0].name} --from {path}"
            raise RefusedError(
                f"this is not {medium.title}, but {others[0].title}"
                if others
                else f"this is not {medium.title}: its contents are others",
                step if others else "see: ironwake media catalogue",
                str(path),
            )

    @contextmanager
    def _added(self) -> Iterator[_Added]:
        """Adds bytes to the store; what was added for nothing is gone again."""
        added = _Added(self.store)
        try:
            yield added
        except BaseException:
            with self.store.changing():
                self.store.collect(added.hashes)
            raise

    def _part(self, holder: Artifact, place: Place) -> Iterator[bytes]:
        with self.store.path(holder.sha256).open("rb") as stream:
            stream.seek(place.offset)
            left = place.size
            while left:
                piece = stream.read(min(_CHUNK, left))
                if not piece:
                    raise IsoError("the ISO ended before its time", "get it again")
                left -= len(piece)
                yield piece

    def _told(self, medium: Medium, whole: int) -> Callable[[int], None]:
        def told(done: int) -> None:
            self.progress(medium.name, done / (whole or 1), f"taking in {size_text(whole)}")

        return told


class _Added:
    """What comes into the store, with its hashes."""

    def __init__(self, store: ArtifactStore) -> None:
        self.hashes: list[str] = []
        self._store = store

    def __call__(self, path: Path, origin: Origin, told: Callable[[int], None]) -> Artifact:
        """A file; RefusedError where it is not the one that was meant."""
        chunks = _file(path, origin, told)
        if not (origin.ours and _same_disk(path, self._store.directory)):
            return self.chunks(chunks)
        hasher, size = hashlib.sha256(), 0
        for piece in chunks:
            hasher.update(piece)
            size += len(piece)
        artifact = Artifact(hasher.hexdigest(), size)
        self._store.take(path, artifact)
        self.hashes.append(artifact.sha256)
        return artifact

    def chunks(self, chunks: Iterator[bytes]) -> Artifact:
        artifact = self._store.add_chunks(chunks)
        self.hashes.append(artifact.sha256)
        return artifact


@dataclass(frozen=True)
class _Inside:
    """What is published with a tree: `holder` has its bytes, under this role and name."""

    contents: Contents
    tree: Tree
    holder: Artifact
    role: str
    file: str


def _need(contents: Contents, role: str, path: str) -> str:
    found = media.choose(contents, path)
    if found is None:
        raise RefusedError(
            f"this medium has no {path.replace('|', ' or ')}, the {role}",
            "correct the row in the catalogue, or get another medium",
        )
    return found


def _told_facts(medium: Medium, contents: Contents) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    for fact, path in medium.tell.items():
        found = _need(contents, fact, path)
        facts[fact] = text = contents.text(found)
        if len(text) > _LONGEST_FACT:
            raise RefusedError(
                f"{found} of this medium is longer than {_LONGEST_FACT} characters",
                "get another medium, or correct the row in the catalogue",
            )
    install = media.choose(contents, _INSTALL)
    editions = wim.editions(contents.text(install)) if install else ""
    return facts | ({"editions": editions} if editions else {})


def _same_disk(path: Path, folder: Path) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    return path.stat().st_dev == folder.stat().st_dev


def _file(path: Path, origin: Origin, told: Callable[[int], None]) -> Iterator[bytes]:
    """A file's bytes; RefusedError in place of their end, where they hash to something else."""
    checksum = origin.checksum
    hasher = checksum.hasher() if checksum else None
    with path.open("rb") as stream:
        for piece in _counted(iter(lambda: stream.read(_CHUNK), b""), told):
            if hasher:
                hasher.update(piece)
            yield piece
    if checksum and hasher and hasher.hexdigest() != checksum.digest:
        raise RefusedError(
            f"{origin.source} has another {checksum.algorithm.upper()} than {checksum.digest}",
            "get it again, or find out who changed it; nothing of it was kept",
        )


def _counted(chunks: Iterator[bytes], told: Callable[[int], None]) -> Iterator[bytes]:
    done = 0
    for number, piece in enumerate(chunks):
        done += len(piece)
        if number % 64 == 0:
            told(done)
        yield piece
