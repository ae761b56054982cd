"""An ISO image as something to read from, what is found in it, and how much of that is believed.

Everything in an image was written by a stranger. So each place is checked against the image's
size, each directory is walked once, and the whole walk has a budget: whatever the image says, it
is read in bounded time and memory, or refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ironwake.errors import InputError

SECTOR = 2048  # bytes
_LONGEST_NAME = 255
_LONGEST_PATH = 1024
_HOPS = 8  # symbolic links in one path


class IsoError(InputError):
    """This is no ISO image, or none that can be believed."""


@dataclass(frozen=True)
class Limits:
    """What one image may have. `bytes`: of directories and descriptors, in all."""

    entries: int = 200_000
    depth: int = 32
    directory: int = 32 << 20
    bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file's bytes are in the image; they stand together."""

    offset: int
    size: int


@dataclass(frozen=True)
class Tree:
    """All files and symbolic links by their paths, without a slash in front.

    `links` have their targets as they stand there. `fold`: names differ by more than case.
    """

    files: Mapping[str, Place]
    links: Mapping[str, str] = field(default_factory=dict)
    fold: bool = False
    _lower: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lower = {path.lower(): path for path in self.files} if self.fold else {}
        object.__setattr__(self, "_lower", lower)

    def find(self, path: str) -> Place | None:
        """The file of this path, links followed within the tree; None where there is none."""
        for _ in range(_HOPS):
            there = path if path in self.files else self._lower.get(path.lower(), path)
            if there in self.files:
                return self.files[there]
            followed = self._follow(path)
            if followed is None:
                return None
            path = followed
        return None

    def _follow(self, path: str) -> str | None:
        """The path with the first link in it replaced by what it points to."""
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            target = self.links.get("/".join(parts[:count]))
            if target is not None:
                return _joined(parts[: count - 1], target, parts[count:])
        return None


@dataclass(frozen=True)
class Volume:
    """An image that was read: its label, the size that it says it has, and its tree."""

    label: str
    size: int
    tree: Tree


class Image:
    """The bytes of an image. `read(offset, size)` gives just so many, or fewer at the end."""

    def __init__(
        self, size: int, read: Callable[[int, int], bytes], limits: Limits = Limits()
    ) -> None:
        self.size = size
        self.limits = limits
        self._read = read
        self._bytes = 0
        self._entries = 0

    def at(self, offset: int, size: int) -> bytes:
        """Exactly these bytes; IsoError where the image does not have them, or for too many."""
        self.place(offset, size, "a directory")
        self._bytes += size
        if self._bytes > self.limits.bytes:
            raise IsoError("the directories of this ISO are larger than any real one's")
        data = self._read(offset, size)
        if len(data) != size:
            raise IsoError(f"the ISO ended at {offset + len(data)}", "copy it again")
        return data

    def place(self, offset: int, size: int, what: str) -> Place:
        """A place that is in the image; IsoError naming `what` is not."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise IsoError(
                f"{what:.120} is said to end at byte {offset + size}, and the ISO has {self.size}",
                "it is truncated or damaged: get it again",
            )
        return Place(offset, size)

    def count(self, depth: int) -> None:
        """One more entry, so deep; IsoError for too many."""
        self._entries += 1
        if self._entries > self.limits.entries:
            raise IsoError(f"this ISO has more than {self.limits.entries} files")
        if depth > self.limits.depth:
            raise IsoError(f"this ISO has folders more than {self.limits.depth} deep")


class Gathering:
    """A tree while it is read."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.files: dict[str, Place] = {}
        self.links: dict[str, str] = {}
        self._folders: set[str] = set()
        self._walked: set[int] = set()

    def enter(self, offset: int, path: str) -> None:
        """A directory at this byte of the image; IsoError where it was walked already."""
        if offset in self._walked:
            raise IsoError(f"folder {path or '/'!r:.120} of this ISO stands in itself")
        self._walked.add(offset)

    def path(self, folder: str, name: str) -> str:
        """The path of a new entry; IsoError for a name that no file can have."""
        if (
            name in ("", ".", "..")
            or "/" in name
            or len(name) > _LONGEST_NAME
            or any(ord(letter) < 32 or ord(letter) == 127 for letter in name)
        ):
            raise IsoError(f"this ISO has a file of the name {name!r:.80}")
        path = f"{folder}/{name}" if folder else name
        if len(path) > _LONGEST_PATH:
            raise IsoError(f"this ISO has a path of {len(path)} characters")
        self.image.count(path.count("/"))
        return path

    def add(self, path: str, entry: Place | str | None) -> None:
        """A file, a link's target, or a folder (None); IsoError where the path is given already."""
        if path in self.files or path in self.links or path in self._folders:
            raise IsoError(f"this ISO has {path!r:.120} twice")
        if entry is None:
            self._folders.add(path)
        elif isinstance(entry, str):
            self.links[path] = entry
        else:
            self.files[path] = entry

    def tree(self, *, fold: bool) -> Tree:
        return Tree(self.files, self.links, fold)


def _joined(folder: list[str], target: str, rest: list[str]) -> str | None:
    """A path through a link; None where that leads out of the tree."""
    parts = [] if target.startswith("/") else list(folder)
    for part in (*target.split("/"), *rest):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    path = "/".join(parts)
    return path if len(path) <= _LONGEST_PATH else None
