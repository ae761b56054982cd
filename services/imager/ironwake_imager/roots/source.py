"""Root file systems from outside, each made one archive of one form: `recognise` and `bring_in`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ironwake.artifact import Fact
from ironwake.errors import InputError, RefusedError, UnknownError
from ironwake.firmware import Architecture
from ironwake.progress import Progress
from ironwake.rootfs import facts
from ironwake.rootfs.member import Kind, Member, RootError
from ironwake.rootfs.reader import Reader
from ironwake.rootfs.rules import Limits
from ironwake.rootfs.tree import Tree
from ironwake_imager.library import packages
from ironwake_imager.roots import canonical, kernel, oci
from ironwake_imager.roots.folder import FolderLayer
from ironwake_imager.roots.layers import Layer, TarLayer, merged
from ironwake_imager.roots.unpacking import plain
from ironwake_runtime.builds import Workshop

_FIRST = 1 << 20  # plain bytes of an archive that tell what it is


class Source(StrEnum):
    TAR = "tar"
    OCI = "oci"
    DIRECTORY = "directory"


class Kernel(StrEnum):
    """Whether a kernel is added: where there is none, always (it may get newer), or never."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a person wants it.

    :ivar architecture: which image of a layout that has several
    """

    kernel: Kernel = Kernel.AUTO
    architecture: Architecture | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Root:
    """What came out, in the folder that it was made in.

    :ivar files: role → file: "archive" (.tar.zst), and "packages" where dpkg has a list
    :ivar facts: image_kind, architecture, family, release, kernel, boot_modes, unpacked_bytes,
        members, content_sha256 (of the plain archive), source
    """

    files: Mapping[str, Path]
    facts: Mapping[str, Fact]


def recognise(path: Path) -> Source | None:
    """What kind of root file system this is; None for something else, a disk for example.

    :raises UnknownError: nothing is there
    """
    if path.is_dir():
        return Source.OCI if oci.is_layout(path) else Source.DIRECTORY
    if not path.is_file():
        raise UnknownError(f"there is no file or directory {path}")
    first = _first(path)
    if first is None:
        return None
    return Source.OCI if oci.begins_layout(first) else Source.TAR


def bring_in(
    path: Path,
    work: Path,
    shop: Callable[[], Workshop],
    progress: Progress,
    wishes: Wishes | None = None,
) -> Root:
    """Make an archive of what is there, in `work`; nothing is written anywhere else.

    :param shop: where a kernel layer's packages come from; asked for only when one is added
    :raises RootError: it is refused, naming the member
    :raises InputError: it is no root file system
    """
    wishes = wishes or Wishes()
    kind = recognise(path)
    if kind is None:
        raise InputError(f"{path} is no root file system: no tar, OCI layout or directory")
    progress("root", None, f"looking at {path.name}")
    layers = _layers(path, kind, work, wishes)
    tree = merged(layers, wishes.limits)
    draft = _write(tree, layers, work / "root.tar.zst", progress)
    if _wants_kernel(wishes.kernel, tree):
        draft = _with_kernel(draft, work, shop, wishes.limits)
    return _root(draft, work, str(kind))


def settle(tar: Path, work: Path, source: str, progress: Progress) -> Root:
    """Make the archive of a tar that we have built ourselves."""
    layers: list[Layer] = [TarLayer(tar, Limits())]
    tree = merged(layers, Limits())
    return _root(_write(tree, layers, work / "root.tar.zst", progress), work, source)


@dataclass(frozen=True, slots=True)
class _Draft:
    archive: Path
    tree: Tree
    written: canonical.Written

    def text(self, path: str) -> str:
        return self.written.told.get(path, b"").decode("utf-8", "replace")

    @property
    def release(self) -> facts.Release:
        return facts.release(self.text(facts.OS_RELEASE))

    @property
    def architecture(self) -> Architecture | None:
        program = facts.program(self.tree)
        return facts.architecture(self.written.told.get(program, b"")) if program else None


def _layers(path: Path, kind: Source, work: Path, wishes: Wishes) -> list[Layer]:
    if kind is Source.DIRECTORY:
        return [FolderLayer(path, wishes.limits)]
    if kind is Source.TAR:
        return [TarLayer(path, wishes.limits)]
    if path.is_file():
        layout = work / "layout"
        oci.lay_out(path, layout, wishes.limits)
        path = layout
    return list(oci.image(path, wishes.limits, wishes.architecture).layers)


def _write(tree: Tree, layers: list[Layer], target: Path, progress: Progress) -> _Draft:
    asked = [facts.OS_RELEASE, facts.STATUS]
    program = facts.program(tree)
    if program:
        asked.append(program)

    def told(fraction: float) -> None:
        progress("root", fraction, "packing")

    return _Draft(target, tree, canonical.write(tree, layers, target, asked, told))


def _wants_kernel(wish: Kernel, tree: Tree) -> bool:
    return wish is Kernel.ALWAYS or (
        wish is Kernel.AUTO and not facts.kernels(tree.children("boot"))
    )


def _with_kernel(draft: _Draft, work: Path, shop: Callable[[], Workshop], limits: Limits) -> _Draft:
    medium = kernel.check(draft.release, draft.architecture)
    workshop = shop()
    root = work / "root"
    kernel.unpack(draft.archive, root)
    draft.archive.unlink()
    kernel.add(root, medium, draft.text(facts.STATUS), workshop, work)
    layers: list[Layer] = [FolderLayer(root, limits)]
    return _write(merged(layers, limits), layers, work / "with-kernel.tar.zst", workshop.progress)


def _root(draft: _Draft, work: Path, source: str) -> Root:
    tree, written, release = draft.tree, draft.written, draft.release
    kernels = facts.kernels(tree.children("boot"))
    if tree.resolve("etc/passwd") is None:
        raise RefusedError("it is no root file system: it has no /etc/passwd")
    if len(kernels) > 1:
        raise RefusedError(
            f"it has {len(kernels)} kernels: {', '.join(kernels)}",
            "remove all but one in it, then import it again",
        )
    files = {"archive": draft.archive}
    found = packages.dpkg(draft.text(facts.STATUS))
    if found:
        files["packages"] = work / "packages.txt"
        files["packages"].write_text(packages.text(found))
    return Root(
        files,
        {
            "image_kind": "root",
            "architecture": str(draft.architecture or ""),
            "family": release.family,
            "release": release.version,
            "kernel": "".join(kernels),
            "boot_modes": facts.boot_modes(tree),
            "unpacked_bytes": written.contents,
            "members": written.members,
            "content_sha256": written.sha256,
            "source": source,
        },
    )


def _first(path: Path) -> Member | None:
    """The first file of an archive, or what comes first; None where there is no archive."""
    reader = Reader(Limits())
    first: Member | None = None
    read = 0
    try:
        with path.open("rb") as stream:
            for piece in plain(stream, Limits()):
                for event in reader.feed(piece):
                    if isinstance(event, Member):
                        first = event
                        if first.kind is not Kind.DIRECTORY:
                            return first
                read += len(piece)
                if read > _FIRST:
                    break
    except RootError:
        return first or _suspect(path)
    return first


def _suspect(path: Path) -> Member | None:
    """Stands for what calls itself a tar and cannot be read: so that it is refused as one."""
    with path.open("rb") as stream:
        head = next(plain(stream, Limits()), b"")
    if head[257:262] == b"ustar":
        return Member("", Kind.DIRECTORY, 0, 0, 0, 0)
    return None
