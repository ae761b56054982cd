"""Builds that run once: the same inputs give the finished manifest from the cache.

The inputs of a build are its recipe (the source files that make it, and its options) and the
package versions that the mirror offers now. When the mirror cannot be reached, the newest build of
the same recipe will do, and says so. Work happens in a temporary folder of the cache; a result
appears in cache and store only when it is whole.

    <cache>/apt/<suite>-<arch>/   package lists          <cache>/debs/   downloaded packages
    <cache>/builds/               an artifact store of what was built
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ironwake.artifact import ArtifactError, Fact, Manifest
from ironwake.errors import BrokenError, UnknownError
from ironwake.firmware import Architecture
from ironwake.progress import Progress
from ironwake_runtime.apt import AptRoot
from ironwake_runtime.aptsources import Mirror, MirrorError
from ironwake_runtime.artifacts import ArtifactStore

_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a build is, apart from the packages of the day.

    :ivar sources: files whose bytes decide the result; part of the cache key, by name and content
    :ivar options: anything else that decides it
    """

    name: str
    kind: str
    sources: tuple[Path, ...]
    options: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """Hash the recipe: equal digests build the same thing from the same packages."""
        files = [[path.name, _hash_file(path)] for path in self.sources]
        return _hash([self.name, self.kind, sorted(files), sorted(self.options.items())])


@dataclass(frozen=True, slots=True)
class Product:
    """What a build leaves: role → file, and what is worth knowing of it."""

    files: Mapping[str, Path]
    facts: Mapping[str, Fact]


Versions = dict[str, str]


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where builds happen.

    :ivar store: where finished manifests are published
    :ivar cache: folder that is kept between runs, on a disk with room for a root file system
    :ivar mirror: where packages come from
    :ivar progress: told of each step
    """

    store: ArtifactStore
    cache: Path
    mirror: Mirror
    progress: Progress
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def apt(self, suite: str, architecture: str = Architecture.AMD64) -> AptRoot:
        """Give the private apt root of a release and architecture; it lives in the cache."""
        folder = self.cache / "apt" / f"{suite}-{architecture}"
        return AptRoot(folder, suite, self.mirror, architecture)

    @property
    def debs(self) -> Path:
        """Folder of downloaded packages, shared by all builds."""
        return self.cache / "debs"

    def build(
        self,
        recipe: Recipe,
        resolve: Callable[[], Versions],
        make: Callable[[Path, Versions], Product],
    ) -> Manifest:
        """Give the manifest of the recipe, made now or before, and publish it in the store.

        Takes and raises what `cached` does.
        """
        manifest = self.cached(recipe, resolve, make)
        with self._room(recipe.name), self.store.changing():
            for artifact in manifest.artifacts.values():
                self.store.adopt(self.built.path(artifact.sha256), artifact)
            self.store.publish(manifest)
        return manifest

    def cached(
        self,
        recipe: Recipe,
        resolve: Callable[[], Versions],
        make: Callable[[Path, Versions], Product],
    ) -> Manifest:
        """Give the manifest of the recipe, made now or before, with its bytes in `built`.

        :param resolve: asks the mirror for package versions; may raise MirrorError
        :param make: builds in the given empty folder
        :raises MirrorError: when the mirror cannot be reached and nothing was built before
        """
        with self._room(recipe.name), self._alone(recipe.name):
            before = self._before(recipe)
            try:
                self.progress(recipe.name, None, "asking the mirror for package versions")
                versions = resolve()
            except MirrorError as error:
                if before is None:
                    raise
                self.progress(
                    recipe.name, 1.0, f"warning: {error}; using the build of {before.built}"
                )
                return before
            inputs = _hash([recipe.digest(), sorted(versions.items())])
            if before is not None and before.inputs == inputs:
                self.progress(recipe.name, 1.0, f"nothing to do: built {before.built}")
                return before
            return self._make(recipe, inputs, versions, make)

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """No other builder of this is at work in the cache."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with _only_one(self.cache / f".lock-{name}"):
            yield

    @contextmanager
    def _room(self, name: str) -> Iterator[None]:
        """BrokenError where a disk is full: whatever was begun is gone by then."""
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise BrokenError(
                f"there is no room to build {name}: {error.strerror}",
                f"make some in {self.cache} (4 GB for a root archive) and in "
                f"{self.store.directory}, and run it again",
            ) from error

    @property
    def built(self) -> ArtifactStore:
        """Everything built so far; parts of larger builds are only here."""
        return ArtifactStore(self.cache / "builds")

    def _before(self, recipe: Recipe) -> Manifest | None:
        """Find the newest build of the same recipe whose bytes are still there."""
        manifest = self._newest(recipe.name)
        if manifest is None:
            return None
        whole = all(self.built.has(artifact) for artifact in manifest.artifacts.values())
        return manifest if whole and manifest.facts.get("recipe") == recipe.digest() else None

    def _make(
        self,
        recipe: Recipe,
        inputs: str,
        versions: Versions,
        make: Callable[[Path, Versions], Product],
    ) -> Manifest:
        prefix = f".making-{recipe.name}-in-"
        for left in self.cache.glob(f"{prefix}*"):  # of a builder that was killed: we hold the lock
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(
            prefix=prefix, dir=self.cache, ignore_cleanup_errors=True
        ) as folder:
            # mkdtemp makes it 0700, which would become the mode of "/" in what is built below it
            work = Path(folder) / "work"
            work.mkdir(mode=0o755)
            product = make(work, versions)
            manifest = Manifest(
                name=recipe.name,
                kind=recipe.kind,
                built=self.now().isoformat(timespec="seconds"),
                inputs=inputs,
                artifacts={role: self.built.add_file(p) for role, p in product.files.items()},
                files={role: path.name for role, path in product.files.items()},
                facts={**product.facts, "recipe": recipe.digest()},
            )
        previous = self._newest(recipe.name)
        self.built.publish(manifest)
        self._forget(previous, manifest)
        return manifest

    def _newest(self, name: str) -> Manifest | None:
        try:
            return self.built.manifest(name)
        except (UnknownError, ArtifactError):
            return None  # a damaged cache entry is no entry

    def _forget(self, previous: Manifest | None, manifest: Manifest) -> None:
        """Drop from the cache (not from the store) what only the previous build needed."""
        if previous is None:
            return
        needed = {a.sha256 for m in self.built.manifests() for a in m.artifacts.values()}
        needed |= {artifact.sha256 for artifact in manifest.artifacts.values()}
        for artifact in previous.artifacts.values():
            if artifact.sha256 not in needed:
                self.built.path(artifact.sha256).unlink(missing_ok=True)


def _hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Let a second builder of the same thing wait, and then find it built."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
