"""Everything that `ironwake media add` can make or get, by name: builders, and vendors' media."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from ironwake.artifact import Manifest, ramdisk_name
from ironwake.errors import UnknownError
from ironwake.firmware import Architecture
from ironwake.medium import Medium, built_in
from ironwake.progress import Progress
from ironwake_imager import debian, live, loaders, mounting
from ironwake_imager.fai import medium as fai
from ironwake_ramdisk import agentzip, modules, ramdisk
from ironwake_runtime.aptsources import Mirror
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.builds import Workshop


@dataclass(frozen=True, slots=True)
class _Builder:
    title: str
    build: Callable[[Workshop], Manifest]
    needs: tuple[str, ...] = ()
    mounts: bool = False


def catalogue(known: Mapping[str, Medium] | None = None) -> dict[str, str]:
    """Give what can be added: name → one sentence about it.

    :param known: vendors' media, with those of the site's own files; None for those built in
    """
    built = {name: builder.title for name, builder in _builders().items()}
    vendors = built_in() if known is None else known
    return {**{name: one.title for name, one in vendors.items()}, **built}


def is_built(name: str) -> bool:
    """Whether it is made here, of packages."""
    return name in _builders()


def with_needs(
    names: Iterable[str],
    known: Mapping[str, Medium] | None = None,
    there: Container[str] = (),
) -> tuple[str, ...]:
    """Give the names and, before each, what a machine needs to get there: loaders and a ramdisk.

    :param there: what is in the store; of that, nothing is built anew for a vendor's medium
    """
    builders, vendors = _builders(), built_in() if known is None else known
    wanted: dict[str, None] = {}
    for name in names:
        needs = builders[name].needs if name in builders else ()
        if name not in builders and name in vendors and vendors[name].boots:
            needs = () if "loaders" in there else ("loaders",)
        wanted.update(dict.fromkeys((*needs, name)))
    return tuple(wanted)


def check(names: Iterable[str], may_mount: bool) -> None:
    """RefusedError where one of them cannot be built here; before anything is fetched."""
    builders = _builders()
    for name in names:
        if name in builders and builders[name].mounts and not may_mount:
            raise mounting.refused(
                f"building {name}",
                f"run on a host, as root: ironwake media add {name}; "
                f"ironwake bundle export FILE --media {name}; then import that file here",
            )


def add(
    name: str, store: ArtifactStore, cache: Path, mirror: Mirror, progress: Progress
) -> Manifest:
    """Make a medium, or take it from the cache, and publish it in the store.

    :param cache: kept between runs; needs 4 GB for a root archive
    :raises UnknownError: for a name that is not built here
    """
    builder = _builders().get(name)
    if builder is None:
        raise unknown(name)
    shop = Workshop(store, cache.absolute(), mirror, progress)
    return builder.build(shop)


def unknown(name: str, known: Mapping[str, Medium] | None = None) -> UnknownError:
    """What is said of a name that nothing has, with those that are most like it."""
    names = catalogue(known)
    near = difflib.get_close_matches(name, names, 5)
    step = f"did you mean {' or '.join(near)}?" if near else "see: ironwake media catalogue"
    return UnknownError(f"there is no medium {name!r:.60}", step)


def _builders() -> dict[str, _Builder]:
    rows = {"loaders": _Builder("what machines boot first: shim and GRUB, iPXE", loaders.build)}
    for flavour, architecture in product(modules.FLAVOURS.values(), Architecture):
        name = ramdisk_name(flavour.name, architecture)
        title = f"{flavour.title}, {architecture}"
        rows[name] = _Builder(title, _ramdisk(flavour.name, architecture))
    for medium in debian.MEDIA.values():
        needs = ("loaders", ramdisk_name(medium.flavour, medium.architecture))
        rows[medium.name] = _Builder(medium.title, _debian(medium.name), needs)
    for name, medium in debian.INSTALLERS.items():
        rows[name] = _Builder(medium.title, _installer(name), ("loaders",))
    for name, one in live.MEDIA.items():
        rows[name] = _Builder(one.title, _live(name), ("loaders",))
    for name, made in fai.MEDIA.items():
        rows[name] = _Builder(made.title, _fai(name), ("loaders",), mounts=True)
    return rows


def _fai(name: str) -> Callable[[Workshop], Manifest]:
    return lambda shop: fai.build(name, shop)


def _live(name: str) -> Callable[[Workshop], Manifest]:
    return lambda shop: live.build(name, shop)


def _debian(name: str) -> Callable[[Workshop], Manifest]:
    return lambda shop: debian.build(name, shop)


def _installer(name: str) -> Callable[[Workshop], Manifest]:
    return lambda shop: debian.installer(name, shop)


def _ramdisk(flavour: str, architecture: Architecture) -> Callable[[Workshop], Manifest]:
    def build(shop: Workshop) -> Manifest:
        with tempfile.TemporaryDirectory() as folder:
            agent = agentzip.build_zipapp(Path(folder) / "agent.pyz")
            return ramdisk.build(flavour, architecture, agent, shop)

    return build
