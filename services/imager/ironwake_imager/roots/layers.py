"""Where a root file system comes from, as layers that can be read twice.

The first reading judges and finds out what stays, the second takes contents: so nothing is unpacked
before all of it was looked at, and no name of an archive ever becomes one on this host.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ironwake.rootfs.member import Event, Member, RootError
from ironwake.rootfs.reader import Reader
from ironwake.rootfs.rules import Limits, Rules
from ironwake.rootfs.tree import Tree
from ironwake_imager.roots.unpacking import plain


class Layer(Protocol):
    """One source of members. Each reading gives the same ones, in the same order."""

    @property
    def whiteouts(self) -> bool:
        """Whether names that begin with `.wh.` take names of layers below away."""

    def read(self, *, contents: bool) -> Iterator[Event]:
        """The members, judged; each one's contents follow it, if they are wanted."""


@dataclass(frozen=True, slots=True)
class TarLayer:
    """A tar, packed or not.

    :ivar plain_sha256: of the plain bytes, if somebody has promised it
    """

    path: Path
    limits: Limits
    whiteouts: bool = False
    plain_sha256: str = ""

    def read(self, *, contents: bool) -> Iterator[Event]:
        rules, reader = Rules(self.limits), Reader(self.limits)
        digest = hashlib.sha256()
        with self.path.open("rb") as stream:
            for piece in plain(stream, self.limits):
                if self.plain_sha256:
                    digest.update(piece)
                for event in reader.feed(piece):
                    if isinstance(event, Member):
                        rules.admit(event)
                        yield event
                    elif contents:
                        yield event
        reader.close()
        if self.plain_sha256 and digest.hexdigest() != self.plain_sha256:
            raise RootError(
                f"a layer is not what its image says: its SHA-256 is {digest.hexdigest()},"
                f" and should be {self.plain_sha256}",
                "fetch the image again",
                self.path.name,
            )


def merged(layers: list[Layer], limits: Limits) -> Tree:
    """What all layers come to; the sum is held to the limits, too."""
    tree = Tree()
    size = members = 0
    for place, layer in enumerate(layers):
        number = 0
        for event in layer.read(contents=False):
            if not isinstance(event, Member):
                continue
            tree.add(event, place, number, whiteouts=layer.whiteouts)
            number += 1
            members += 1
            size += event.stored
            if size > limits.size or members > limits.members:
                raise RootError(
                    f"the layers are more than {limits.size} bytes in {limits.members} members",
                    "the limits are settings: IRONWAKE_IMAGE_…",
                )
    return tree
