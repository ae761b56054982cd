"""Images: their names, versions and tags, what a reference means, and what is known of each.

    debian-web@3        name and version: this image, for ever
    debian-web          the newest version of that name
    debian-web@stable   the version that the tag `stable` stands at now

A version is the number that its import gave it (1, 2, 3, …), or a word that a person chose. Words
and tags of one name are apart: what is a version is never a tag. No version is ever given twice,
also not after its image is gone: what a deployment, a log or a person once called by a name stays
the only one that has had it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ironwake.errors import BrokenError, InputError, RefusedError, UnknownError
from ironwake.firmware import Architecture

if TYPE_CHECKING:  # manifests know images' names
    from ironwake.artifact import Manifest

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_WORD = re.compile(r"(?![0-9]+$)[a-z0-9][a-z0-9._-]{0,31}", re.ASCII)
_STEP = "write it as in debian-web, debian-web@3 or debian-web@stable: a-z, 0-9, . _ and -"


class ImageKind(StrEnum):
    """What an image is of: a whole disk, or a root file system."""

    DISK = "disk"
    ROOT = "root"


class Reference(str):
    """`name`, `name@version` or `name@tag`; InputError for whatever else."""

    __slots__ = ()

    def __new__(cls, text: str) -> Reference:
        name, at, label = text.partition("@")
        if not _NAME.fullmatch(name) or (at and not _is_label(label)):
            raise InputError(f"{text!r:.100} is no image", _STEP, "image")
        return str.__new__(cls, text)

    @property
    def name(self) -> str:
        return self.partition("@")[0]

    @property
    def label(self) -> str:
        """The version or the tag; "" means the newest."""
        return self.partition("@")[2]


def is_image_name(text: str) -> bool:
    """Whether a text can be the whole name of one image, `name@version`."""
    try:
        return bool(Reference(text).label)
    except InputError:
        return False


def is_word(text: str) -> bool:
    """Whether a text can be a version that a person chose, or a tag."""
    return _WORD.fullmatch(text) is not None


@dataclass(frozen=True)
class Page:
    """What is written down of one name, besides its images.

    `last` is the greatest number given; `words` are the versions that were given as words, in their
    order, those of images that are gone among them; `tags` are tag → version.
    """

    last: int = 0
    words: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    def next_version(self) -> str:
        return str(self.last + 1)

    def given(self, version: str) -> Page:
        """The page after this version was given; RefusedError where it was given before."""
        if version in self.tags:
            raise RefusedError(
                f"{version!r} is a tag of that name", "choose another word for the version"
            )
        number = int(version) if _NUMBER.fullmatch(version) else 0
        if version in self.words or 0 < number <= self.last:
            raise RefusedError(
                f"version {version} of that name was given before, and versions never change",
                "choose another word, or leave it out and get the next number",
            )
        if number:
            return replace(self, last=number)
        if not is_word(version):
            raise InputError(f"{version!r:.60} is no version", _STEP)
        return replace(self, words=(*self.words, version))

    def tagged(self, tag: str, version: str) -> Page:
        """The page with the tag at that version."""
        if not is_word(tag):
            raise InputError(f"{tag!r:.60} is no tag: it is a word, not a number", _STEP)
        if tag in self.words:
            raise RefusedError(f"{tag!r} is a version of that name", "choose another tag")
        return replace(self, tags={**self.tags, tag: version})

    def untagged(self, tag: str) -> Page:
        """The page without the tag; UnknownError where there is none."""
        if tag not in self.tags:
            there = ", ".join(sorted(self.tags)) or "none"
            raise UnknownError(f"there is no tag {tag!r:.60}; there are: {there}")
        return replace(self, tags={name: at for name, at in self.tags.items() if name != tag})


@dataclass(frozen=True)
class Image:
    """One image, and what its manifest says of it. Sizes in bytes; what nobody knows is "" or 0.

    `size` is what it takes on a disk: the disk's for a disk, that of all files for a root.
    `least_disk` is the smallest disk that it fits on. `sha256` is of the whole plain content.
    `boot_modes` are `bios`, `uefi`. `sequence` is its place among all images of its name.
    """

    name: str
    kind: ImageKind
    size: int
    built: str
    sequence: int = 0
    architecture: Architecture | None = None
    boot_modes: tuple[str, ...] = ()
    kernel: str = ""
    family: str = ""
    sha256: str = ""
    source: str = ""
    least_disk: int = 0

    @property
    def reference(self) -> Reference:
        return Reference(self.name)

    @classmethod
    def of(cls, manifest: Manifest) -> Image:
        """Read a manifest of kind `image`; BrokenError where its facts are not an image's."""
        facts = manifest.facts
        try:
            kind = ImageKind(str(facts["image_kind"]))
            key = "logical_bytes" if kind is ImageKind.DISK else "unpacked_bytes"
            text = str(facts.get("architecture", ""))
            return cls(
                name=manifest.name,
                kind=kind,
                size=int(facts[key]),
                built=manifest.built,
                sequence=int(facts.get("sequence", 0)),
                architecture=Architecture(text) if text else None,
                boot_modes=tuple(str(facts.get("boot_modes", "")).split(","))
                if facts.get("boot_modes")
                else (),
                kernel=str(facts.get("kernel", "")),
                family=str(facts.get("family", "")),
                sha256=str(facts.get("content_sha256", "")),
                source=str(facts.get("source", "")),
                least_disk=int(facts.get("least_disk", 0)),
            )
        except (KeyError, ValueError) as error:
            raise BrokenError(
                f"the manifest of {manifest.name} is not an image's: {error}", "import it again"
            ) from None


class Catalogue:
    """All images that there are, and what references mean.

    :param manifests: of any kind; those of images count
    :param pages: by name
    """

    def __init__(self, manifests: Iterable[Manifest], pages: Mapping[str, Page]) -> None:
        found = (Image.of(one) for one in manifests if one.kind == "image")
        self.images = tuple(sorted(found, key=lambda one: (one.reference.name, one.sequence)))
        self.pages = dict(pages)

    def page(self, name: str) -> Page:
        return self.pages.get(name, Page())

    def versions(self, name: str) -> tuple[Image, ...]:
        """All of that name, the oldest first."""
        return tuple(one for one in self.images if one.reference.name == name)

    def tags(self, image: Image) -> tuple[str, ...]:
        """The tags that stand at it."""
        reference = image.reference
        tags = self.page(reference.name).tags
        return tuple(sorted(tag for tag, version in tags.items() if version == reference.label))

    def find(self, reference: str) -> Image:
        """What a reference means now; UnknownError says what there is instead."""
        wanted = Reference(reference)
        versions = self.versions(wanted.name)
        if not versions:
            there = ", ".join(dict.fromkeys(one.reference.name for one in self.images)) or "none"
            raise UnknownError(
                f"there is no image {wanted.name}; there are: {there}",
                f"make it with: ironwake image import FILE --as {wanted.name}",
            )
        if not wanted.label:
            return versions[-1]
        version = self.page(wanted.name).tags.get(wanted.label, wanted.label)
        for one in versions:
            if one.reference.label == version:
                return one
        there = ", ".join(one.reference.label for one in versions)
        tags = ", ".join(sorted(self.page(wanted.name).tags))
        raise UnknownError(
            f"{wanted.name} has no version {wanted.label}; it has: {there}"
            + (f"; and the tags: {tags}" if tags else "")
        )


def pages_of(document: Any) -> dict[str, Page]:
    """Read what `pages_document` gave; ValueError where it is something else."""
    if not isinstance(document, dict):
        raise ValueError("it is not an object")
    return {str(name): _page(row) for name, row in document.items()}


def pages_document(pages: Mapping[str, Page]) -> dict[str, Any]:
    """The pages as plain data, for JSON."""
    return {
        name: {"last": page.last, "words": list(page.words), "tags": dict(page.tags)}
        for name, page in sorted(pages.items())
    }


def _page(row: Any) -> Page:
    try:
        last, words, tags = row["last"], row["words"], row["tags"]
        if not isinstance(last, int) or not all(is_word(word) for word in (*words, *tags)):
            raise ValueError(f"{row!r:.100} is no page")
        if not all(_is_label(str(version)) for version in tags.values()):
            raise ValueError(f"{tags!r:.100} are no tags")
        return Page(last, tuple(words), {str(tag): str(at) for tag, at in tags.items()})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{row!r:.100} is no page") from error


def _is_label(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None or is_word(text)
