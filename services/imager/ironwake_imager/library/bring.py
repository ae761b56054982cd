"""The front of every import: a file, a folder, a URL or packages become an image with a version."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ironwake.artifact import Fact, Manifest
from ironwake.errors import BrokenError, InputError, IronwakeError, RefusedError
from ironwake.image import Reference
from ironwake.progress import Progress
from ironwake.sizes import size_text
from ironwake_imager import debian
from ironwake_imager.download import Limits
from ironwake_imager.library import disk, fetch
from ironwake_imager.library.library import Library
from ironwake_imager.roots import build
from ironwake_imager.roots import source as roots
from ironwake_runtime.builds import Workshop

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
# What a person would call a file of that role.
_FILES: Final = {
    "pack": "{name}.pack",
    "index": "{name}.index",
    "archive": "{name}.tar.zst",
    "packages": "packages.txt",
}
_SYSTEM: Final = 1 << 30  # bytes beside a root's files: boot partitions, swap, some room


@dataclass(frozen=True)
class Wish:
    """What a person says of an import.

    `name` is `debian-web`, or `debian-web@word` for a version that is no number. `sha256` is the
    source's, "" where nobody said. `disk` and `root` are about sources of that kind.
    """

    source: str
    name: str
    sha256: str = ""
    disk: disk.Wishes = field(default_factory=disk.Wishes)
    root: roots.Wishes = field(default_factory=roots.Wishes)


@dataclass(frozen=True)
class Importer:
    """What imports need. `cache` holds parts of what is fetched, `shop` is where packages are."""

    library: Library
    cache: Path
    progress: Progress
    shop: Callable[[], Workshop]
    limits: Limits = field(default_factory=Limits)

    def bring(self, wish: Wish) -> Manifest:
        """Import it; the manifest is of this image, or of the same one that was there already.

        :raises InputError: the wish cannot be
        :raises RefusedError: the source must not become an image, or is not what was meant
        :raises BrokenError: there is no room, or a program or a server failed
        """
        Reference(wish.name)
        with self.room(), _named(wish.source):
            if not fetch.is_url(wish.source):
                return self._local(wish, Path(wish.source))
            with fetch.fetched(
                wish.source, wish.sha256, self.cache, self.limits, self._fetching
            ) as path:
                return self._local(wish, path)

    def build(self, medium: str, extra: debian.Extra, name: str) -> Manifest:
        """Build a root of packages, and give it a version; raises what `bring` and apt do."""
        Reference(name)
        with self.room(), self.library.bench() as bench:
            made = build.build(medium, extra, bench, self.shop())
            return self._publish(name, made.files, _with_least(made.facts))

    def _local(self, wish: Wish, path: Path) -> Manifest:
        if not fetch.is_url(wish.source):
            self._expect(wish.sha256, path)
        with self.library.bench() as bench:
            if not wish.disk.format and not wish.disk.bare and roots.recognise(path):
                made = roots.bring_in(path, bench, self.shop, self.progress, wish.root)
                facts = _with_least(made.facts)
                return self._publish(wish.name, made.files, _from(facts, wish.source))
            packed = disk.bring_in(path, bench, self.progress, wish.disk)
            is_raw = packed.facts["source"] == disk.Format.RAW
            if is_raw and wish.sha256 not in ("", packed.facts["content_sha256"]):
                raise RefusedError("it changed since its checksum was compared", "import it again")
            return self._publish(wish.name, packed.files, _from(packed.facts, wish.source))

    def _publish(self, name: str, files: Mapping[str, Path], facts: Mapping[str, Fact]) -> Manifest:
        base = Reference(name).name
        names = {role: _FILES[role].format(name=base) for role in files}
        return self.library.publish(name, files, names, facts)

    def _expect(self, sha256: str, path: Path) -> None:
        """Compare a file with the checksum that a person gave, before anything is made of it."""
        if not path.exists():
            raise InputError("there is no such file", "name a file, a folder or a URL")
        if not sha256:
            return
        if not path.is_file():
            raise InputError("only a file has a checksum", "leave out --sha256")
        self.progress("source", None, "comparing its checksum")
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != sha256:
            raise RefusedError(
                f"it has the SHA-256 {found}, not {sha256:.80}",
                "get the file again, or correct the checksum",
            )

    def _fetching(self, done: int, whole: int | None) -> None:
        part = done / whole if whole else None
        self.progress("fetch", part, f"fetching {size_text(whole)}" if whole else "fetching")

    @contextmanager
    def room(self) -> Iterator[None]:
        """BrokenError where a disk is full; nothing of the import is left by then."""
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise BrokenError(
                f"there is no room for the image: {error.strerror}",
                f"make some in {self.library.store.directory} and {self.cache}, and run it again",
            ) from error


def _from(facts: Mapping[str, Fact], source: str) -> dict[str, Fact]:
    """The kind of source, and its name: a URL, or a file without its folders."""
    name = source if fetch.is_url(source) else Path(source).name
    return {**facts, "source": f"{facts['source']} {name}".strip()}


def _with_least(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    """File systems need more than their files: a quarter, and what stands beside the root."""
    unpacked = int(facts["unpacked_bytes"])
    return {**facts, "least_disk": -(-(unpacked * 5 // 4 + _SYSTEM) // (1 << 20) << 20)}


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Say of which source an error speaks."""
    try:
        yield
    except IronwakeError as error:
        if error.where or source in error.what:
            raise
        raise type(error)(error.what, error.next_step, source) from error
