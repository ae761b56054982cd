"""Media that are not built here: where they come from, how they are checked, what is in them.

A row of the catalogue's files (`ironwake.catalogue`), for each architecture one medium:

    [[medium]]
    name = "rocky-9"                                  # the manifest; with -arm64 for the other
    title = "Rocky Linux 9, from its DVD"
    arch = { amd64 = "x86_64", arm64 = "aarch64" }    # as {arch} in all that follows
    base = "https://download.example/rocky/9/{arch}/" # "" where you bring it; `page`: from where
    file = "Rocky-9.*-{arch}-dvd.iso"                 # * only with a list of checksums
    checksums = "CHECKSUM"                            # beside it, or a URL; {file} is its name
    signature = "inline"                              # within that file, or a file beside it
    keyring = "rocky-9.gpg"                           # who may have signed it
    take = { installer-kernel = "images/pxeboot/vmlinuz" }   # what becomes artifacts, by role
    marks = [{ file = ".treeinfo", has = "^version *= *9" }] # how its contents are known: all fit

A medium of single files has `fetch` (role → file) instead of `file`, `take` and `marks`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlsplit

from ironwake import catalogue
from ironwake.artifact import manifest_name
from ironwake.errors import InputError
from ironwake.firmware import Architecture

INLINE = "inline"
TEXT = 256 << 10  # bytes of a file in which a mark is looked for
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,55}", re.ASCII)
_ROLE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", re.ASCII)
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", re.ASCII)
_OWN_ROLES = ("iso", "tree")


class Contents(Protocol):
    """What a medium turns out to have inside: an ISO image, or a folder."""

    @property
    def label(self) -> str:
        """The volume's, or ""."""

    def has(self, path: str) -> bool:
        """Whether there is such a file; letters' case counts only where the medium says so."""

    def text(self, path: str) -> str:
        """The first `TEXT` bytes of a file, as far as they are text; "" where there is none.

        Of Windows' images (.wim, .esd) what they say of themselves.
        """


@dataclass(frozen=True)
class Mark:
    """One thing by which contents are known: a file that is there, a pattern in it, in the label.

    `file` may have alternatives, with | between. Patterns are regular expressions; ^ and $ fit at
    each line, and letters' case does not count.
    """

    file: str = ""
    has: str = ""
    volume: str = ""

    def __post_init__(self) -> None:
        if bool(self.file) is bool(self.volume) or (self.has and not self.file):
            raise InputError("a mark is of a file or of the volume's label", "give one", "marks")
        for pattern in (self.has, self.volume):
            try:
                re.compile(pattern.replace("{arch}", ""))
            except re.error as error:
                raise InputError(f"{pattern!r:.60} is no pattern: {error}", "", "marks") from None

    def fits(self, contents: Contents) -> bool:
        if self.volume:
            return bool(re.search(self.volume, contents.label, re.IGNORECASE))
        path = choose(contents, self.file)
        if path is None or not self.has:
            return path is not None
        flags = re.IGNORECASE | re.MULTILINE
        return bool(re.search(self.has, contents.text(path), flags))


@dataclass(frozen=True, kw_only=True)
class Described:
    """What is said of a medium; see the module for the fields.

    `stream`: an index as Fedora CoreOS has them, beside `base`; `fetch` then has its names of
    files. `tell`: facts that are the text of a file. `names`: what artifacts are called that shall
    be called otherwise than on the medium, by role.
    """

    name: str
    title: str
    base: str = ""
    page: str = ""
    file: str = ""
    stream: str = ""
    checksums: str = ""
    signature: str = ""
    keyring: str = ""
    take: dict[str, str] = field(default_factory=dict)
    tell: dict[str, str] = field(default_factory=dict)
    fetch: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Medium(Described):
    """One medium, for one architecture; `name` is its manifest's."""

    architecture: Architecture
    vendor_arch: str

    def served(self, role: str, path: str) -> str:
        """The name by which an artifact is served that is this path on the medium."""
        return self.names.get(role) or path.rpartition("/")[2]

    @property
    def is_iso(self) -> bool:
        """Whether it is one ISO image (or a folder with the same contents); else, single files."""
        return not self.fetch

    @property
    def boots(self) -> bool:
        """Whether machines are started from it: then they need loaders, too."""
        return "installer-kernel" in {**self.take, **self.fetch} or not self.fetch

    @property
    def is_brought(self) -> bool:
        """Whether a person has to bring it."""
        return not self.base

    def fits(self, contents: Contents) -> bool:
        """Whether these contents are this medium's."""
        return self.is_iso and all(mark.fits(contents) for mark in self.marks)


@dataclass(frozen=True, kw_only=True)
class Row(Described):
    """A medium as the catalogue's files have it: for each architecture, with the vendor's word for
    it in the place of {arch}. `bases`: for architectures with another one.
    """

    arch: dict[str, str] = field(default_factory=lambda: {"amd64": "amd64"})
    bases: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(f"{self.name!r:.60} is not right here", "use a-z, 0-9, . _ -", "name")
        if not self.arch or not set(self.arch) | set(self.bases) <= set(map(str, Architecture)):
            raise InputError(
                "there is an architecture that we do not know", "known are: amd64, arm64", "arch"
            )
        for where in ("take", "fetch", "tell"):
            for role in getattr(self, where):
                if not _ROLE.fullmatch(role) or role in _OWN_ROLES:
                    raise InputError(f"{role!r:.60} is no role", "use letters, digits, -", where)
        for name in self.names.values():
            if not _FILE.fullmatch(name):
                raise InputError(f"{name!r:.60} is no file's name", "", "names")
        for base in (self.base, *self.bases.values()):
            check_base(base)
        self._check_kind()

    def _check_kind(self) -> None:
        if bool(self.fetch) is bool(self.marks):
            raise InputError(
                "it is neither an ISO image nor single files",
                "give marks, by which its contents are known, or fetch",
                "marks",
            )
        if self.fetch and (self.take or self.tell or self.file):
            raise InputError("single files have nothing inside", "leave it out", "fetch")
        if self.base and self.marks and not self.file:
            raise InputError("this field is missing", "name the ISO file at base", "file")
        if self.base and not (self.checksums or self.stream):
            raise InputError(
                "nothing is downloaded without a checksum", "name the file that has it", "checksums"
            )
        if self.signature and not (self.checksums and self.keyring):
            raise InputError("it is not said whose signature", "give keyring", "signature")

    @property
    def media(self) -> tuple[Medium, ...]:
        """One for each architecture."""
        return tuple(self._medium(Architecture(name), word) for name, word in self.arch.items())

    def _medium(self, architecture: Architecture, word: str) -> Medium:
        said = {one.name: _put(getattr(self, one.name), word) for one in fields(Described)}
        base = _put(self.bases.get(architecture, self.base), word)
        own = {"name": manifest_name(self.name, architecture), "base": base}
        return Medium(architecture=architecture, vendor_arch=word, **(said | own))


def _put(value: Any, word: str) -> Any:
    """With the vendor's word for the architecture, in texts and in what has them."""
    if isinstance(value, str):
        return value.replace("{arch}", word)
    if isinstance(value, dict):
        return {key: _put(text, word) for key, text in value.items()}
    own = re.escape(word)  # in marks' patterns
    return tuple(
        replace(
            mark, file=_put(mark.file, word), has=_put(mark.has, own), volume=_put(mark.volume, own)
        )
        for mark in value
    )


def choose(contents: Contents, paths: str) -> str | None:
    """The first of these alternatives, with | between, that is there."""
    return next((path for path in paths.split("|") if contents.has(path)), None)


def check_base(url: str, where: str = "base") -> None:
    """InputError where it is no folder by HTTP; "" is none."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username
    except ValueError:
        fine = False
    if url and (not fine or not url.endswith("/")):
        raise InputError(
            f"{url!r:.120} is no folder's URL", "write it as in https://host.example/iso/", where
        )


def media(texts: Iterable[catalogue.Text]) -> dict[str, Medium]:
    """All media of these files' rows, by name; a later file's take the place of an earlier one's.

    InputError for a wrong row, with its file and name.
    """
    found: dict[str, Medium] = {}
    for _, row in catalogue.rows(Row, "medium", texts):
        found.update((one.name, one) for one in row.media)
    return found


@cache
def built_in() -> Mapping[str, Medium]:
    """The catalogue's own."""
    return media(catalogue.built_in())


def recognise(contents: Contents, among: Iterable[Medium]) -> tuple[Medium, ...]:
    """Those whose marks fit, the one with most marks first."""
    fitting = [one for one in among if one.fits(contents)]
    return tuple(sorted(fitting, key=lambda one: -len(one.marks)))


def pxe_files(stream: Any, vendor_arch: str) -> dict[str, tuple[str, str]]:
    """File's name → URL and SHA-256, of an index of Fedora CoreOS' form.

    :param stream: the JSON document, as coreos/stream-metadata-go has it
    :raises InputError: it has another form
    """
    try:
        files = stream["architectures"][vendor_arch]["artifacts"]["metal"]["formats"]["pxe"]
        return {name: (str(one["location"]), str(one["sha256"])) for name, one in files.items()}
    except (KeyError, TypeError, AttributeError):
        raise InputError(f"this index has no files for booting {vendor_arch}") from None
