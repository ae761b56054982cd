"""Releases: one version of an operating system is one row of data (`ironwake.catalogue`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from ironwake import catalogue, wire
from ironwake.artifact import manifest_name
from ironwake.errors import InputError
from ironwake.firmware import Architecture
from ironwake.sizes import octets

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,55}", re.ASCII)
# It is shown by boot scripts, between quotes or without.
_TITLE = re.compile(r"[\w .,:()/+@'-]{1,80}")
_MOST_REBOOTS = 20


@dataclass(frozen=True)
class Release:
    """`media` names the manifests that `ironwake media add` publishes; sizes are in bytes.

    `family` is the installer's. `version` is the vendor's number, `codename` its word.
    `least_memory`: what the installer needs. `expected_reboots`: how often it restarts the machine
    before its end. `options`: what differs between versions, in the family's own words.
    """

    name: str
    title: str
    family: str
    architectures: tuple[Architecture, ...]
    media: str
    least_disk: int
    codename: str = ""
    version: str = ""
    least_memory: int = 0
    expected_reboots: int = 0
    options: dict[str, str] = field(default_factory=dict)

    def medium(self, architecture: Architecture) -> str:
        """The manifest for machines of that architecture: `debian-12`, `debian-12-arm64`."""
        return manifest_name(self.media, architecture)

    def live(self, architecture: Architecture) -> str:
        """The manifest of the same as a live system: `debian-12-live`."""
        return manifest_name(f"{self.media}-live", architecture)


@dataclass(frozen=True)
class Row:
    """A release as the catalogue's files have it: sizes as text; `medium` "": called as it is."""

    name: str
    title: str
    family: str
    version: str
    least_disk: str
    least_memory: str
    codename: str = ""
    architectures: tuple[Architecture, ...] = (Architecture.AMD64,)
    medium: str = ""
    expected_reboots: int = 0
    options: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("name", "family", *(("medium",) if self.medium else ())):
            if not _NAME.fullmatch(getattr(self, name)):
                raise InputError(
                    f"{getattr(self, name)!r:.60} is not right here", "use a-z, 0-9, . _ -", name
                )
        if not _TITLE.fullmatch(self.title):
            raise InputError(
                f"{self.title!r:.60} is no title",
                "use 1 to 80 letters, digits, blanks and . , : ( ) / + @ ' -",
                "title",
            )
        if not self.architectures:
            raise InputError("there is no architecture", "give one at least", "architectures")
        if not 0 <= self.expected_reboots <= _MOST_REBOOTS:
            raise InputError(
                f"{self.expected_reboots} is no number of reboots",
                f"give 0 to {_MOST_REBOOTS}",
                "expected_reboots",
            )

    @property
    def release(self) -> Release:
        return Release(
            name=self.name,
            title=self.title,
            family=self.family,
            architectures=self.architectures,
            media=self.medium or self.name,
            least_disk=self._size("least_disk"),
            codename=self.codename,
            version=self.version,
            least_memory=self._size("least_memory"),
            expected_reboots=self.expected_reboots,
            options=self.options,
        )

    def _size(self, name: str) -> int:
        try:
            return octets(getattr(self, name))
        except InputError as error:
            raise wire.inside(name, error) from None


def releases(texts: Iterable[catalogue.Text]) -> dict[str, Release]:
    """All rows of these files, by name; a later file's takes the place of an earlier one's.

    InputError for a wrong one, with its file and name.
    """
    found: dict[str, Release] = {}
    for place, row in catalogue.rows(Row, "release", texts):
        try:
            found[row.name] = row.release
        except InputError as error:
            raise catalogue.placed(place, error) from None
    return found


@cache
def built_in() -> Mapping[str, Release]:
    """The catalogue's own."""
    return releases(catalogue.built_in())


def find(name: str, among: Mapping[str, Release] | None = None) -> Release:
    """The row of that name, `among` these or those built in; InputError naming what there is."""
    known = built_in() if among is None else among
    try:
        return known[name]
    except KeyError:
        raise InputError(
            f"there is no release {name!r:.60}", f"known are: {', '.join(known)}", "release"
        ) from None
