"""The artifact store: a folder that processes share without talking to each other.

    <directory>/sha256/ab/abcdef…       the bytes, immutable
    <directory>/manifests/<name>.json   what they mean, replaced as a whole

A name appears only when its bytes are complete and on disk (write aside, fsync, rename, fsync of
the folder), so a reader never needs a lock, and a power cut leaves at worst a stray `.incoming-*`.
Who gives artifacts to a manifest, or takes away what no manifest needs, has the store's lock
(`changing`), so that nobody takes away what somebody else has just found there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ironwake.artifact import Artifact, ArtifactError, Manifest, is_manifest_name
from ironwake.errors import UnknownError
from ironwake_runtime.durable import FILE_MODE, open_folder, sync_folder

_CHUNK = 1 << 20
_INCOMING = ".incoming-"
_MEND = "delete the file and add the media again"


class ArtifactStore:
    """Content-addressed files and their manifests below one directory.

    Any number of processes may read and add at once. Raises ArtifactError for what is
    damaged, UnknownError for what is not there, OSError for what the file system refuses.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, sha256: str) -> Path:
        """Give where the bytes of this hash are, or would be."""
        Artifact(sha256, 0)  # a hash is all that may become a path
        return self.directory / "sha256" / sha256[:2] / sha256

    def has(self, artifact: Artifact) -> bool:
        """Say whether the bytes are there, with the right size."""
        try:
            return self.path(artifact.sha256).stat().st_size == artifact.size
        except FileNotFoundError:
            return False

    def add_file(self, source: Path) -> Artifact:
        """Copy a file in; adding the same bytes again changes nothing."""
        with source.open("rb") as stream:
            return self._add(iter(lambda: stream.read(_CHUNK), b""))

    def add_bytes(self, data: bytes) -> Artifact:
        """Put bytes in; adding the same bytes again changes nothing."""
        return self._add(iter((data,)))

    def add_chunks(self, chunks: Iterator[bytes]) -> Artifact:
        """Put bytes in as they come; where they end with an error, nothing is there."""
        return self._add(chunks)

    def adopt(self, source: Path, artifact: Artifact) -> None:
        """Take over an immutable file whose hash is known, by a hard link where that works."""
        if self.has(artifact):
            return
        target = self.path(artifact.sha256)
        open_folder(target.parent)
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without hard links
            self.add_file(source)

    def take(self, source: Path, artifact: Artifact) -> None:
        """Move a file in whose hash is known, by its name alone; it is on the same file system."""
        with source.open("r+b") as stream:
            _settle(stream, source, self.path(artifact.sha256))

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Be the only one who publishes, or takes away; others wait. Not to be nested."""
        open_folder(self.directory)
        with (self.directory / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def withdraw(self, name: str) -> None:
        """Take a manifest away, and the bytes that no other one needs; the caller has the lock."""
        manifest = self.manifest(name)
        folder = self.directory / "manifests"
        (folder / f"{name}.json").unlink()
        sync_folder(folder)
        self.collect(artifact.sha256 for artifact in manifest.artifacts.values())

    def collect(self, hashes: Iterable[str]) -> None:
        """Take away those of these bytes that no manifest needs; the caller has the lock."""
        needed = {item.sha256 for row in self.manifests() for item in row.artifacts.values()}
        for sha256 in frozenset(hashes) - needed:
            self.path(sha256).unlink(missing_ok=True)

    def _add(self, chunks: Iterator[bytes]) -> Artifact:
        root = self.directory / "sha256"
        open_folder(root)
        digest = hashlib.sha256()
        with _incoming(root) as (stream, temporary):
            for chunk in chunks:
                digest.update(chunk)
                stream.write(chunk)
            artifact = Artifact(digest.hexdigest(), stream.tell())
            if not self.has(artifact):
                _settle(stream, temporary, self.path(artifact.sha256))
        return artifact

    def publish(self, manifest: Manifest) -> None:
        """Make the manifest the current one of its name; all its artifacts must be in the store."""
        for role, artifact in manifest.artifacts.items():
            if not self.has(artifact):
                raise ArtifactError(
                    f"the bytes of {role!r} of {manifest.name} are not in {self.directory}",
                    "add them before the manifest is published",
                )
        folder = self.directory / "manifests"
        open_folder(folder)
        with _incoming(folder) as (stream, temporary):
            stream.write(manifest.to_json().encode())
            _settle(stream, temporary, folder / f"{manifest.name}.json")

    def manifest(self, name: str) -> Manifest:
        """Read one manifest."""
        if not is_manifest_name(name):
            raise UnknownError(f"{name!r:.60} is not a manifest name")
        path = self.directory / "manifests" / f"{name}.json"
        if not path.is_file():
            raise UnknownError(
                f"{name} is not in {self.directory}", f"build it with 'ironwake media add {name}'"
            )
        return _read(path)

    def manifests(self) -> tuple[Manifest, ...]:
        """Read all manifests, sorted by name; an empty or absent store has none."""
        folder = self.directory / "manifests"
        paths = folder.glob("[!.]*.json") if folder.is_dir() else iter(())
        return tuple(_read(path) for path in sorted(paths))


def _read(path: Path) -> Manifest:
    try:
        manifest = Manifest.from_json(path.read_bytes())
    except ArtifactError as error:
        raise ArtifactError(f"is damaged: {error}", _MEND, str(path)) from error
    if manifest.name != path.stem:
        raise ArtifactError(f"is the manifest of {manifest.name!r}", _MEND, str(path))
    return manifest


@contextmanager
def _incoming(folder: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Give a file under a name that no reader looks at, gone at the end unless it was renamed."""
    descriptor, name = tempfile.mkstemp(prefix=_INCOMING, dir=folder)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream, temporary
    finally:
        temporary.unlink(missing_ok=True)


def _settle(stream: BinaryIO, temporary: Path, target: Path) -> None:
    """Give complete bytes their name, in an order that survives a power cut."""
    stream.flush()
    os.fchmod(stream.fileno(), FILE_MODE)
    os.fsync(stream.fileno())
    open_folder(target.parent)
    temporary.replace(target)
    for folder in (target.parent, target.parent.parent):
        sync_folder(folder)
