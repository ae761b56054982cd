"""`ironwake media …`: operating systems, loaders and ramdisks, built on this host."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from ironwake_cli.output import JSON, as_json, say, size, table
from ironwake_cli.session import Session, of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ironwake.artifact import Manifest
    from ironwake.progress import Progress


def catalogue(json: bool = JSON) -> None:
    """List what can be built.

    Example:

        ironwake media catalogue
    """
    from ironwake_imager import media

    names = media.catalogue()
    if json:
        as_json([{"name": name, "title": title} for name, title in names.items()])
        return
    for line in table(("NAME", "WHAT"), names.items()):
        say(line)


def listing(context: typer.Context, json: bool = JSON) -> None:
    """List what has been built.

    Example:

        ironwake media list
    """
    from ironwake.artifact import IMAGE
    from ironwake_runtime.artifacts import ArtifactStore

    everything = ArtifactStore(of(context).settings.artifacts).manifests()
    manifests = [manifest for manifest in everything if manifest.kind != IMAGE]
    if json:
        as_json([_document(manifest) for manifest in manifests])
        return
    rows = [(m.name, m.kind, size(_bytes(m)), m.built) for m in manifests]
    for line in table(("NAME", "KIND", "SIZE", "BUILT"), rows):
        say(line)


def add(
    context: typer.Context,
    names: list[str] = typer.Argument(
        ..., metavar="NAME", help="what to build; see: ironwake media catalogue"
    ),
    json: bool = JSON,
) -> None:
    """Build media, or find them built already, and put them into the store. Needs root.

    Packages come from this host's own mirror, verified by the distribution's signatures.

    Example:

        ironwake media add debian-12
    """
    made = build(of(context), names)
    if json:
        as_json([_document(manifest) for manifest in made])
        return
    for manifest in made:
        say(f"{manifest.name} is there: {size(_bytes(manifest))}, built {manifest.built}")


def build(session: Session, names: Sequence[str]) -> tuple[Manifest, ...]:
    """Build these and what they need, one after the other, and show how far they are."""
    from ironwake_imager import media
    from ironwake_runtime.aptsources import mirror_of
    from ironwake_runtime.artifacts import ArtifactStore

    settings = session.settings
    mirror = mirror_of(settings.mirror)
    store = ArtifactStore(settings.artifacts)
    with drawing() as progress:
        return tuple(
            media.add(name, store, settings.cache_dir, mirror, progress)
            for name in media.with_needs(names)
        )


@contextmanager
def drawing() -> Iterator[Progress]:
    """A bar on a terminal, plain lines elsewhere; both on standard error."""
    import sys

    from ironwake_cli.bars import bars, lines

    if sys.stderr.isatty():
        with bars() as progress:
            yield progress
    else:
        yield lines()


def _bytes(manifest: Manifest) -> int:
    return sum(artifact.size for artifact in manifest.artifacts.values())


def _document(manifest: Manifest) -> object:
    from json import loads

    return loads(manifest.to_json())
