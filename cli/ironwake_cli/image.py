"""`ironwake image …`: the library of disks and roots that machines can be given."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from ironwake_cli.media import drawing
from ironwake_cli.output import JSON, as_json, facts, note, say, size, table
from ironwake_cli.session import Session, of

if TYPE_CHECKING:
    from ironwake.artifact import Manifest
    from ironwake.image import Catalogue, Image
    from ironwake.progress import Progress
    from ironwake.rootfs.rules import Limits
    from ironwake_imager.library.bring import Importer
    from ironwake_imager.library.differ import ImageDifference
    from ironwake_imager.library.library import Library

_Choice = TypeVar("_Choice", bound=StrEnum)
_REFERENCE: str = typer.Argument(
    ...,
    metavar="IMAGE",
    help="NAME for its newest version, NAME@VERSION or NAME@TAG",
    show_default=False,
)


def bring(
    context: typer.Context,
    source: str = typer.Argument(
        ..., help="raw or qcow2 disk, root archive, OCI image, folder, or a URL", show_default=False
    ),
    name: str = typer.Option(
        ..., "--as", help="NAME, which gets the next number, or NAME@WORD", show_default=False
    ),
    sha256: str = typer.Option("", "--sha256", help="the source's checksum; a URL needs it"),
    form: str = typer.Option("", "--format", help="raw or qcow2; default: by the first octets"),
    bare: bool = typer.Option(False, "--bare", help="a disk without a partition table is meant"),
    kernel: str = typer.Option(
        "auto", "--kernel", help="a kernel for a root: auto (where it has none), always or never"
    ),
    architecture: str = typer.Option(
        "", "--architecture", help="amd64 or arm64, where it cannot be seen, or several are there"
    ),
    json: bool = JSON,
) -> None:
    """Bring a disk or a root into the library; nothing of it is there before all of it is.

    Example:

        ironwake image import debian-13.qcow2 --as web
    """
    from ironwake.firmware import Architecture
    from ironwake_imager.library import disk
    from ironwake_imager.library.bring import Wish
    from ironwake_imager.roots import source as roots

    machine = _one_of(Architecture, architecture) if architecture else None
    chosen = _one_of(disk.Format, form) if form else None
    session = of(context)
    wish = Wish(
        source,
        name,
        sha256.lower(),
        disk.Wishes(chosen, bare, machine, largest(session)),
        roots.Wishes(_one_of(roots.Kernel, kernel), machine, limits(session)),
    )
    with drawing() as progress:
        manifest = importer(session, progress).bring(wish)
    told(session, manifest, json)


def build(
    context: typer.Context,
    medium: str = typer.Argument(
        ..., help="as in debian-12; see: ironwake media catalogue", show_default=False
    ),
    name: str = typer.Option(
        ..., "--as", help="NAME, which gets the next number, or NAME@WORD", show_default=False
    ),
    package: list[str] = typer.Option([], "--package", help="one more package; repeatable"),
    hook: list[Path] = typer.Option(
        [], "--hook", help="program to run with the root's path, here, as root; repeatable"
    ),
    json: bool = JSON,
) -> None:
    """Build a root of Debian's packages and your own. Needs root.

    Example:

        ironwake image build debian-13 --as web --package nginx
    """
    from ironwake_imager.debian import Extra

    session = of(context)
    with drawing() as progress:
        extra = Extra(tuple(package), tuple(hook))
        manifest = importer(session, progress).build(medium, extra, name)
    told(session, manifest, json)


def listing(context: typer.Context, json: bool = JSON) -> None:
    """List the images, the oldest version of each name first.

    Example:

        ironwake image list
    """
    library = library_of(of(context))
    catalogue = library.catalogue()
    if json:
        as_json([_document(library, catalogue, one) for one in catalogue.images])
        return
    heads = ("IMAGE", "TAGS", "KIND", "SIZE", "ARCHITECTURE", "BOOTS", "FAMILY", "BUILT")
    rows = [
        (
            one.name,
            catalogue.tags(one),
            one.kind,
            size(one.size),
            one.architecture,
            one.boot_modes,
            one.family,
            one.built,
        )
        for one in catalogue.images
    ]
    for line in table(heads, rows):
        say(line)


def show(context: typer.Context, image: str = _REFERENCE, json: bool = JSON) -> None:
    """Show one image.

    Example:

        ironwake image show web@stable
    """
    library = library_of(of(context))
    catalogue = library.catalogue()
    document = _document(library, catalogue, catalogue.find(image))
    if json:
        as_json(document)
        return
    sizes = {key: size(document[key]) for key in ("size", "stored", "least_disk") if document[key]}
    shown = {**document, **sizes, "packages": len(document["packages"]) or None}
    for line in facts((key, value) for key, value in shown.items() if key != "artifacts"):
        say(line)


def verify(context: typer.Context, image: str = _REFERENCE, json: bool = JSON) -> None:
    """Hash all of an image again, and say whether it is as it was imported.

    Example:

        ironwake image verify web
    """
    from ironwake_imager.library import keeping

    with drawing() as progress:
        found = keeping.verify(library_of(of(context)), image, progress)
    _either(
        {"name": found.name, "sha256": found.sha256, "sound": True},
        f"{found.name} is as it was imported",
        json,
    )


def diff(
    context: typer.Context,
    before: str = typer.Argument(..., metavar="IMAGE", help="the first", show_default=False),
    after: str = typer.Argument(..., metavar="IMAGE", help="the second", show_default=False),
    json: bool = JSON,
) -> None:
    """Say what is other in the second of two images: blocks, packages, and what is known of them.

    Example:

        ironwake image diff web@1 web@2
    """
    from dataclasses import asdict

    from ironwake_imager.library import keeping

    found = keeping.diff(library_of(of(context)), before, after)
    if json:
        as_json(asdict(found))
        return
    for line in _difference(found):
        say(line)


def tag(
    context: typer.Context,
    image: str = _REFERENCE,
    tag: str = typer.Argument(..., metavar="TAG", help="a word, as in stable", show_default=False),
    remove: bool = typer.Option(False, "--remove", help="take the tag away"),
    json: bool = JSON,
) -> None:
    """Let a tag stand at a version, wherever it stood before.

    Example:

        ironwake image tag web@2 stable
    """
    from ironwake.image import Reference

    library = library_of(of(context))
    if remove:
        name = Reference(image).name
        library.untag(name, tag)
        done: dict[str, Any] = {"name": name, "tag": tag, "removed": True}
        text = f"{name} has no tag {tag} any more"
    else:
        found = library.tag(image, tag)
        done = {"name": found.name, "tag": tag, "removed": False}
        text = f"{found.reference.name}@{tag} is {found.name} now"
    _either(done, text, json)


def export(
    context: typer.Context,
    image: str = _REFERENCE,
    target: Path = typer.Argument(..., metavar="FILE", help="where to", show_default=False),
    force: bool = typer.Option(False, "--force", help="replace a file that is there"),
    json: bool = JSON,
) -> None:
    """Write an image into a file: a disk as raw, with holes; a root as tar.zst.

    Example:

        ironwake image export web@2 web.raw
    """
    from ironwake_imager.library import keeping

    with drawing() as progress:
        found = keeping.export(library_of(of(context)), image, target, progress, force)
    _either({"name": found.name, "file": str(target)}, f"{found.name} is in {target}", json)


def remove(
    context: typer.Context,
    image: str = _REFERENCE,
    force: bool = typer.Option(
        False, "--force", help="although it has a tag, or machines have it or wait for it"
    ),
    json: bool = JSON,
) -> None:
    """Take an image away for good. Its version is never given again.

    Example:

        ironwake image rm web@1
    """
    library = library_of(of(context))
    found = library.catalogue().find(image)
    if not force:
        _unused(of(context), found)
    library.remove(found.name, force)
    _either({"name": found.name, "removed": True}, f"{found.name} is gone", json)


def _either(document: dict[str, Any], text: str, json: bool) -> None:
    if json:
        as_json(document)
    else:
        say(text)


def library_of(session: Session) -> Library:
    """The library in this host's artifact store."""
    from ironwake_imager.library.library import Library
    from ironwake_runtime.artifacts import ArtifactStore

    return Library(ArtifactStore(session.settings.artifacts))


def importer(session: Session, progress: Progress) -> Importer:
    """What imports need, as the settings say."""
    from ironwake_imager.download import Limits
    from ironwake_imager.library.bring import Importer
    from ironwake_runtime.aptsources import mirror_of
    from ironwake_runtime.builds import Workshop

    settings, library = session.settings, library_of(session)

    def shop() -> Workshop:
        mirror = mirror_of(settings.mirror)
        return Workshop(library.store, settings.cache_dir.absolute(), mirror, progress)

    limits = Limits.of(settings.image_hosts, largest(session), settings.image_minutes)
    return Importer(library, settings.cache_dir, progress, shop, limits)


def limits(session: Session) -> Limits:
    """What a root may have at the most, as the settings say."""
    from ironwake.rootfs.rules import Limits

    settings = session.settings
    return Limits(size=largest(session), members=settings.image_members, ratio=settings.image_ratio)


def largest(session: Session) -> int:
    """Bytes that a disk or a root may have, as the settings say."""
    from ironwake.errors import InputError
    from ironwake.sizes import octets

    try:
        return octets(session.settings.image_largest)
    except InputError as error:
        raise InputError(error.what, error.next_step, "IRONWAKE_IMAGE_LARGEST") from None


def _one_of(kind: type[_Choice], text: str) -> _Choice:
    from ironwake.errors import InputError

    try:
        return kind(text)
    except ValueError:
        known = ", ".join(kind)
        raise InputError(f"{text!r:.40} is not possible", f"there are: {known}") from None


def _unused(session: Session, image: Image) -> None:
    """Refuse while a machine has the image or waits for it, and while nobody can say."""
    from ironwake.errors import BrokenError, RefusedError, UnknownError
    from ironwake_cli.api import segment

    try:
        machines = session.api.get(f"images/{segment(image.name)}")["machines"]
    except UnknownError:
        return  # the appliance does not know it yet, so it has given it to nobody
    except BrokenError as error:
        raise BrokenError(
            f"nobody can say whether a machine has {image.name}: {error.what}",
            "start the appliance, or say --force",
        ) from None
    if machines:
        raise RefusedError(
            f"{', '.join(machines)} has {image.name}, or waits for it",
            "deploy another image there first, or say --force",
        )


def told(session: Session, manifest: Manifest, json: bool) -> None:
    """Say that an image is there, and what it is."""
    from ironwake.image import Image

    library = library_of(session)
    image = Image.of(manifest)
    if json:
        as_json(_document(library, library.catalogue(), image))
        return
    boots = f", boots by {' and '.join(image.boot_modes)}" if image.boot_modes else ""
    say(f"{image.name} is there: {image.kind}, {size(image.size)}{boots}")
    if not image.architecture:
        note(f"the architecture of {image.name} is not known; see --architecture")


def _document(library: Library, catalogue: Catalogue, image: Image) -> dict[str, Any]:
    from ironwake_imager.library import keeping

    manifest = library.store.manifest(image.name)
    return {
        "name": image.name,
        "tags": list(catalogue.tags(image)),
        "kind": str(image.kind),
        "size": image.size,
        "stored": sum(artifact.size for artifact in manifest.artifacts.values()),
        "least_disk": image.least_disk,
        "built": image.built,
        "architecture": str(image.architecture or ""),
        "boot_modes": list(image.boot_modes),
        "kernel": image.kernel,
        "family": image.family,
        "sha256": image.sha256,
        "source": image.source,
        "packages": [" ".join(row) for row in keeping.packages_of(library.store, manifest)],
        "artifacts": {role: item.sha256 for role, item in manifest.artifacts.items()},
    }


def _difference(found: ImageDifference) -> list[str]:
    lines = []
    if found.blocks:
        lines.append(
            f"blocks: {found.blocks.changed} changed ({size(found.blocks.moved)} to move),"
            f" {found.blocks.emptied} emptied, {found.blocks.same} the same"
        )
    lines += [f"{name}: {one or '-'} -> {two or '-'}" for name, (one, two) in found.facts.items()]
    lines += [f"+ {name} {version}" for name, version in found.packages.added]
    lines += [f"- {name} {version}" for name, version in found.packages.removed]
    lines += [f"~ {name} {one} -> {two}" for name, one, two in found.packages.changed]
    return lines or [f"{found.before} and {found.after} hold the same"]
