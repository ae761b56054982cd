"""One medium of a vendor into the store: downloaded, or from a file or folder on this host."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ironwake.artifact import Manifest
from ironwake.errors import InputError, RefusedError, UnknownError
from ironwake.medium import Medium
from ironwake.sizes import size_text
from ironwake_imager import download
from ironwake_imager.download import AbsentError, Limits
from ironwake_imager.vendor import checksums, opened
from ironwake_imager.vendor.checksums import Checksum
from ironwake_imager.vendor.folder import Folder
from ironwake_imager.vendor.publish import Origin, Publisher
from ironwake_imager.vendor.source import ISO, Sources, Wanted, Wish

_LARGEST_LIST = 4 << 20  # bytes
_OWN = "a file of yours, compared with nothing"
# What lies beside a downloaded ISO, where somebody has kept it; {file} is the ISO's name.
_BESIDE = (
    *("{file}.sha256", "{file}.sha256sum", "{file}.SHA256SUM", "{file}.sha512"),
    *("SHA256SUMS", "SHA512SUMS", "sha256sum.txt", "CHECKSUM"),
)


@dataclass(frozen=True)
class Bringer:
    """`cache` keeps what was begun; `limits` are of one file."""

    publisher: Publisher
    sources: Sources
    cache: Path
    limits: Limits

    def bring(self, medium: Medium, wish: Wish) -> Manifest:
        """Have it in the store; the manifest is the one of before where nothing is new.

        :raises InputError: the wish cannot be
        :raises RefusedError: it is not what was meant; nothing of it is kept
        :raises BrokenError: the way there failed; what came is kept for the next run
        """
        if wish.path is not None:
            return self._local(medium, wish.path, wish)
        wanted = self.sources.wanted(medium, wish)
        there = self._there(medium, wanted)
        return there or self._download(medium, wanted)

    def _there(self, medium: Medium, wanted: tuple[Wanted, ...]) -> Manifest | None:
        """What is in the store already, where it is just that."""
        try:
            manifest = self.publisher.store.manifest(medium.name)
        except UnknownError:
            return None
        known, store = manifest.artifacts, self.publisher.store
        whole = all(store.has(item) for item in known.values())
        if not (whole and set(known) >= {*medium.take, *(one.role for one in wanted)}):
            return None
        paths = {one: store.path(known[one.role].sha256) for one in wanted}
        if not all(_is(path, one.checksum) for one, path in paths.items()):
            return None
        self.publisher.progress(medium.name, 1.0, f"nothing to do: added {manifest.built}")
        return manifest

    def _download(self, medium: Medium, wanted: tuple[Wanted, ...]) -> Manifest:
        parts: dict[str, Path] = {}
        with ExitStack() as stack:
            for one in wanted:
                key = one.checksum.digest[:64]
                part = stack.enter_context(download.begun(self.cache / "media", key, one.url))
                self._fetch(medium, one, part)
                parts[one.role] = Path(part.name)
            origins = [Origin(one.url, one.trust, one.checksum, ours=True) for one in wanted]
            try:
                if medium.is_iso:
                    done = self.publisher.iso(medium, parts[ISO], origins[0])
                else:
                    done = self.publisher.files(medium, parts, origins)
            except (InputError, RefusedError):
                for path in parts.values():
                    download.forget(path)
                raise
            for path in parts.values():
                download.forget(path)
            return done

    def _fetch(self, medium: Medium, one: Wanted, part: BinaryIO) -> None:
        try:
            download.bring(one.url, part, self.limits, self._told(medium, one))
        except AbsentError as absent:
            step = "name another folder with --mirror, or get the file and add it with --from"
            raise AbsentError(absent.what, step) from None

    def _told(self, medium: Medium, one: Wanted) -> download.Told:
        def told(done: int, whole: int | None) -> None:
            of = f" of {size_text(whole)}" if whole else ""
            part = done / whole if whole else None
            self.publisher.progress(medium.name, part, f"fetching {one.name}{of}")

        return told

    def _local(self, medium: Medium, path: Path, wish: Wish) -> Manifest:
        if not path.exists():
            raise InputError("there is no such file or folder", "correct --from", str(path))
        if not medium.is_iso:
            return self._local_files(medium, path, wish)
        if path.is_dir():
            return self._local_folder(medium, path, wish)
        return self.publisher.iso(medium, path, _origin(path, wish))

    def _local_folder(self, medium: Medium, path: Path, wish: Wish) -> Manifest:
        """An ISO in it, or what was unpacked of one."""
        there = opened.dropped(path, (medium,))
        fitting = [one for one in there if one.media]
        if len(fitting) > 1:
            names = ", ".join(one.path.name for one in fitting)
            raise RefusedError(f"more than one file there is {medium.title}: {names}", "name one")
        if fitting:
            return self.publisher.iso(medium, fitting[0].path, _origin(fitting[0].path, wish))
        if wish.sha256:
            raise InputError("a folder has no checksum", "leave out --sha256", "sha256")
        if not medium.fits(Folder(path)) and there:
            said = "; ".join(f"{one.path.name}: {one.why_not or 'another one'}" for one in there)
            raise RefusedError(f"none of these ISO files is {medium.title}: {said}", "", str(path))
        return self.publisher.folder(medium, path, Origin(str(path), _OWN))

    def _local_files(self, medium: Medium, path: Path, wish: Wish) -> Manifest:
        names = {role: name.rpartition("/")[2] for role, name in medium.fetch.items()}
        if path.is_dir():
            found = {role: path / name for role, name in names.items() if (path / name).is_file()}
        elif len(names) == 1:
            found = dict.fromkeys(names, path)
        else:
            found = {role: path for role, name in names.items() if name == path.name}
        if not found:
            raise InputError(
                f"{medium.name} has the files {', '.join(names.values())}, and none is there",
                "name a folder that has them",
                str(path),
            )
        if wish.sha256 and len(found) > 1:
            raise InputError("one checksum is not for several files", "leave it out", "sha256")
        origins = [_origin(one, wish) for one in found.values()]
        return self.publisher.files(medium, found, origins)


def _is(path: Path, checksum: Checksum) -> bool:
    """Whether an artifact, which is called by its SHA-256, is what was meant."""
    if checksum.algorithm == "sha256":
        return path.name == checksum.digest
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, checksum.algorithm).hexdigest()
    return bool(found == checksum.digest)


def fetcher(limits: Limits) -> Callable[[str], bytes]:
    """Reads small files from the network: lists, signatures, indexes."""
    small = Limits(largest=_LARGEST_LIST, seconds=60, follow=True, trust=limits.trust)
    return lambda url: download.small(url, small)


def _origin(path: Path, wish: Wish) -> Origin:
    """A local file, with the checksum that was given, or one that lies beside it."""
    if wish.sha256:
        return Origin(path.name, "the checksum you gave", Checksum(wish.sha256))
    for pattern in _BESIDE:
        beside = path.with_name(pattern.replace("{file}", path.name))
        if beside.is_file() and beside.stat().st_size < _LARGEST_LIST:
            entries = checksums.parse(beside.read_text("utf-8", "replace"))
            alone = "{file}" in pattern and len(entries) == 1
            checksum = next(iter(entries.values())) if alone else entries.get(path.name)
            if checksum is not None:
                return Origin(path.name, f"the list {beside.name} beside it", checksum)
    return Origin(path.name, _OWN)
