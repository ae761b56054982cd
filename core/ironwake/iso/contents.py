"""An ISO image that was read, as something to be recognised."""

from __future__ import annotations

from dataclasses import dataclass

from ironwake.iso import wim
from ironwake.iso.image import Image, Place, Volume
from ironwake.medium import TEXT

_WIM = (".wim", ".esd")


@dataclass(frozen=True)
class Contents:
    """`ironwake.medium.Contents` of an image."""

    image: Image
    volume: Volume

    @property
    def label(self) -> str:
        return self.volume.label

    def has(self, path: str) -> bool:
        return self.volume.tree.find(path) is not None

    def text(self, path: str) -> str:
        place = self.volume.tree.find(path)
        if place is None:
            return ""
        return text_of(path, place.size, lambda offset, size: self._read(place, offset, size))

    def _read(self, place: Place, offset: int, size: int) -> bytes:
        return self.image.at(place.offset + offset, size)


def text_of(path: str, size: int, read: wim.Read) -> str:
    """The text of a file of so many bytes, as `ironwake.medium.Contents.text` has it."""
    if path.lower().endswith(_WIM):
        return wim.xml(read, size)
    return read(0, min(size, TEXT)).decode("utf-8", "replace")
