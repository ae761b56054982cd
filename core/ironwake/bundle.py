"""Bundles: everything that a site without a network needs, in one archive. What one says of itself.

    bundle.json                        this, first: what follows, each with its SHA-256
    artifacts/<sha256>                 bytes of the artifact store
    manifests/<name>.json              what they mean: media, loaders, ramdisks, images
    images.json                        of images: versions that were given, and tags
    profiles/…  parameters/…           files that people wrote
    packages/<source>/dists|pool/…     mirrors, with the signed lists as they were fetched
    wheels/…  containers/…             the product itself

Pure: paths, sizes and hashes; no bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from ironwake.artifact import Artifact, ArtifactError
from ironwake.errors import InputError, RefusedError
from ironwake.packagecache import Source

FORMAT: Final = 1
NAME: Final = "bundle.json"
ARTIFACTS, MANIFESTS, PAGES = "artifacts", "manifests", "images.json"
PROFILES, PARAMETERS, PACKAGES = "profiles", "parameters", "packages"
WHEELS, CONTAINERS = "wheels", "containers"
_FOLDERS: Final = (*(ARTIFACTS, MANIFESTS, PROFILES, PARAMETERS, PACKAGES, WHEELS, CONTAINERS),)
# What the product itself has brought to the folders of people's files: path → SHA-256 of each text
# that it ever had. Who left such a file as it came has said nothing with it.
SHIPPED: Final[Mapping[str, frozenset[str]]] = {
    "parameters/site.yaml": frozenset(
        ("3077ab94f7428f4d473b09bcc11f09b077874ac0f1ae2353e778080c0544f492",)
    ),
    "profiles/debian-12.yaml": frozenset(
        ("7b82c98adbb775a2ebeb05b44c999df3ed7e19482c510b9fe7be8030d0e5207d",)
    ),
    "profiles/debian-12-installer.yaml": frozenset(
        ("69ac3b43abeca05b618ab2eb53cc3035942fe2b033422003462e03ba6ea25b01",)
    ),
}
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~@%=:-]{0,199}", re.ASCII)
_LONGEST = 400
_MOST = 500_000
_AGAIN = "make the bundle anew, or copy it again"


class BundleError(RefusedError):
    """This archive is no bundle of ours, or not as it was made."""

    def __init__(self, what: str, next_step: str = _AGAIN, where: str = "") -> None:
        super().__init__(what, next_step, where)


@dataclass(frozen=True)
class Entry:
    """One file: its path in the bundle, 64 hex digits, bytes."""

    path: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        try:
            Artifact(self.sha256, self.size)
        except (ArtifactError, TypeError) as error:
            raise BundleError(f"{self.path!r:.80}: {error}") from None
        if not isinstance(self.path, str) or not is_path(self.path):
            raise BundleError(f"{self.path!r:.80} is no path of a bundle")

    @property
    def folder(self) -> str:
        """The first part of its path."""
        return self.path.partition("/")[0]

    @property
    def rest(self) -> str:
        return self.path.partition("/")[2]


def is_path(path: str) -> bool:
    """Whether it leads to a place below a bundle's folders, and nowhere else."""
    parts = path.split("/")
    inside = path == PAGES or (len(parts) > 1 and parts[0] in _FOLDERS)
    return inside and len(path) <= _LONGEST and all(_PART.fullmatch(part) for part in parts)


@dataclass(frozen=True)
class Bundle:
    """What a bundle says of itself.

    :ivar made: when, ISO 8601
    :ivar version: of the product that made it
    :ivar mirrors: name → the URLs that each stands for
    """

    made: str
    version: str
    entries: tuple[Entry, ...]
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.entries) > _MOST:
            raise BundleError(f"{len(self.entries)} files are more than a bundle has")
        paths = [entry.path for entry in self.entries]
        known = set(paths)
        if len(known) < len(paths):
            raise BundleError("a path stands twice in it")
        for path in paths:
            parents = path.split("/")[:-1]
            if any("/".join(parents[: count + 1]) in known for count in range(len(parents))):
                raise BundleError(f"{path!r:.80} lies below a file")
        for name, urls in self.mirrors.items():
            try:
                Source(name, "", tuple(urls))
            except InputError as error:
                raise BundleError(error.what) from None
        for entry in self.entries:
            self._check(entry)

    def _check(self, entry: Entry) -> None:
        if entry.folder == ARTIFACTS and entry.rest != entry.sha256:
            raise BundleError(f"{entry.path!r:.80} is not called by its hash")
        if entry.folder == PACKAGES and entry.path.split("/")[1] not in self.mirrors:
            raise BundleError(f"{entry.path!r:.80} is of no mirror that it names")

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)

    def of(self, folder: str) -> tuple[Entry, ...]:
        """The files of one of its folders."""
        return tuple(entry for entry in self.entries if entry.folder == folder)

    def to_json(self) -> bytes:
        """Its text: equal bundles are equal bytes."""
        document = {
            "format": FORMAT,
            "made": self.made,
            "version": self.version,
            "mirrors": {name: list(urls) for name, urls in sorted(self.mirrors.items())},
            "entries": [asdict(entry) for entry in self.entries],
        }
        return (json.dumps(document, indent=1) + "\n").encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Bundle:
        """Read it; BundleError for whatever it cannot be."""
        try:
            document = json.loads(raw)
            number = document["format"]
            if number != FORMAT:
                raise BundleError(
                    f"this bundle has format {number!r:.20}, not {FORMAT}",
                    "import it with the version that made it",
                )
            return cls(
                made=str(document["made"]),
                version=str(document["version"]),
                entries=tuple(_entry(row) for row in document["entries"]),
                mirrors={
                    str(name): tuple(str(url) for url in urls)
                    for name, urls in document["mirrors"].items()
                },
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BundleError(f"{NAME} is not what it should be: {error!r:.100}") from None


def _entry(row: Any) -> Entry:
    if set(row) != {"path", "sha256", "size"} or not isinstance(row["size"], int):
        raise BundleError(f"{row!r:.100} is no file of a bundle")
    return Entry(row["path"], row["sha256"], row["size"])


def sorted_entries(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """As a bundle has them: what is small and decides first, then the large."""
    order = {name: place for place, name in enumerate((PAGES, MANIFESTS, PROFILES, PARAMETERS))}
    return tuple(sorted(entries, key=lambda one: (order.get(one.folder, len(order)), one.path)))
