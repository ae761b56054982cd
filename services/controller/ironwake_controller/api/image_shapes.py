"""Images as the public API shows them."""

from __future__ import annotations

from pydantic import BaseModel


class ImageShape(BaseModel):
    """An image, sizes in bytes; what nobody knows is empty.

    `size` is the disk's, or that of all files of a root. `machines` have it, or are about to.
    """

    name: str
    kind: str
    size: int
    least_disk: int
    built: str
    tags: list[str]
    architecture: str
    boot_modes: list[str]
    kernel: str
    family: str
    sha256: str
    source: str
    machines: list[str]


class ImagePage(BaseModel):
    items: list[ImageShape]
    next: None = None
