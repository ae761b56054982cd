"""Everything that `ironwake media add` can make, by name: the front of all builders."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from ironwake.artifact import Manifest, ramdisk_name
from ironwake.errors import UnknownError
from ironwake.firmware import Architecture
from ironwake.progress import Progress
from ironwake_imager import debian, live, loaders
from ironwake_ramdisk import agentzip, modules, ramdisk
from ironwake_runtime.aptsources import Mirror
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.builds import Workshop


@dataclass(frozen=True, slots=True)
class _Builder:
    title: str
    build: Callable[[Workshop], Manifest]
    needs: tuple[str, ...] = ()


def catalogue() -> dict[str, str]:
    """Give what can be added: name → one sentence about it."""
    return {name: builder.title for name, builder in _builders().items()}


def with_needs(names: Iterable[str]) -> tuple[str, ...]:
    """Give the names and, before each, what a machine needs to get there: loaders and a ramdisk."""
    builders = _builders()
    wanted: dict[str, None] = {}
    for name in names:
        needs = builders[name].needs if name in builders else ()
        wanted.update(dict.fromkeys((*needs, name)))
    return tuple(wanted)


def add(
    name: str, store: ArtifactStore, cache: Path, mirror: Mirror, progress: Progress
) -> Manifest:
    """Make a medium, or take it from the cache, and publish it in the store.

    :param cache: kept between runs; needs 4 GB for a root archive
    :raises UnknownError: for a name that is not in `catalogue()`
    """
    builder = _builders().get(name)
    if builder is None:
        raise UnknownError(
            f"there is no medium {name!r:.60}", f"known are: {', '.join(catalogue())}"
        )
    shop = Workshop(store, cache.absolute(), mirror, progress)
    return builder.build(shop)


def _builders() -> dict[str, _Builder]:
    rows = {"loaders": _Builder("what machines boot first: shim and GRUB, iPXE", loaders.build)}
    for flavour, architecture in product(modules.FLAVOURS.values(), Architecture):
        name = ramdisk_name(flavour.name, architecture)
        title = f"{flavour.title}, {architecture}"
        rows[name] = _Builder(title, _ramdisk(flavour.name, architecture))
    for medium in debian.MEDIA.values():
        needs = ("loaders", ramdisk_name(medium.flavour, medium.architecture))
        rows[medium.name] = _Builder(medium.title, _debian(medium.name), needs)
    for name, one in live.MEDIA.items():
        rows[name] = _Builder(one.title, _live(name), ("loaders",))
    return rows


def _live(name: str) -> Callable[[Workshop], Manifest]:
    return lambda shop: live.build(name, shop)


def _debian(name: str) -> Callable[[Workshop], Manifest]:
    return lambda shop: debian.build(name, shop)


def _ramdisk(flavour: str, architecture: Architecture) -> Callable[[Workshop], Manifest]:
    def build(shop: Workshop) -> Manifest:
        with tempfile.TemporaryDirectory() as folder:
            agent = agentzip.build_zipapp(Path(folder) / "agent.pyz")
            return ramdisk.build(flavour, architecture, agent, shop)

    return build
