"""`ironwake media …`: operating systems, loaders, ramdisks; built here, or from their vendors."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ironwake_cli.output import JSON, as_json, say, size, table
from ironwake_cli.session import Session, of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ironwake.artifact import Manifest
    from ironwake.medium import Medium
    from ironwake.progress import Progress
    from ironwake_imager.vendor.bring import Bringer
    from ironwake_imager.vendor.opened import Found
    from ironwake_imager.vendor.source import Wish
    from ironwake_runtime.artifacts import ArtifactStore

_NAMES = typer.Argument(..., metavar="NAME", help="as in: ironwake media list")


def catalogue(context: typer.Context, json: bool = JSON) -> None:
    """List what can be added, and from where.

    ISO files that lie in the folder for them (IRONWAKE_ISO_DIR) stand at the end.

    Example:

        ironwake media catalogue
    """
    from ironwake_imager import media

    known = _known(of(context))
    rows = [(name, _way(name, known), title) for name, title in media.catalogue(known).items()]
    dropped = _dropped(of(context), known)
    if json:
        as_json(
            [
                {"name": name, "title": title, "from": way, "found": _paths(name, dropped)}
                for name, way, title in rows
            ]
        )
        return
    for line in table(("NAME", "FROM", "WHAT"), rows):
        say(line)
    _say_dropped(dropped)


def listing(context: typer.Context, json: bool = JSON) -> None:
    """List what there is: built, downloaded, or brought.

    ISO files that lie in the folder for them (IRONWAKE_ISO_DIR) stand at the end, with the command
    that adds each.

    Example:

        ironwake media list
    """
    from ironwake.artifact import IMAGE

    everything = _store(of(context)).manifests()
    manifests = [manifest for manifest in everything if manifest.kind != IMAGE]
    sources = {(one.facts.get("source"), _iso_size(one)) for one in manifests}
    if json:
        as_json([_document(manifest) for manifest in manifests])
        return
    found = _dropped(of(context), _known(of(context)))
    dropped = [one for one in found if (one.path.name, one.size) not in sources]
    rows = [(m.name, m.kind, size(_bytes(m)), m.built) for m in manifests]
    for line in table(("NAME", "KIND", "SIZE", "BUILT"), rows):
        say(line)
    _say_dropped(dropped)


def add(
    context: typer.Context,
    names: list[str] = typer.Argument(
        None, metavar="[NAME]...", help="what to add; see: ironwake media catalogue"
    ),
    source: Path = typer.Option(
        None, "--from", help="an ISO file, or a folder with one or with its files: a USB stick"
    ),
    mirror: str = typer.Option("", "--mirror", help="a folder's URL, in place of the vendor's"),
    sha256: str = typer.Option("", "--sha256", help="what the file must hash to"),
    json: bool = JSON,
) -> None:
    """Build media, or get them from their vendors, and put them into the store.

    What is built here needs root; its packages come from this host's own mirror, verified by the
    distribution's signatures. What is downloaded is compared with its vendor's checksums. An ISO
    file is known by its contents: with --from, a name may be left out.

    Example:

        ironwake media add debian-12
        ironwake media add rocky-9
        ironwake media add --from Windows11.iso
    """
    from ironwake.errors import InputError
    from ironwake_imager.vendor.source import Wish

    if not names and source is None:
        raise InputError("nothing is named", "see: ironwake media catalogue", "NAME")
    if source is None or names:
        chosen = list(names or ())
    else:
        chosen = [_by_contents(source, _known(of(context)))]
    if len(chosen) > 1 and (source or mirror or sha256):
        raise InputError("--from, --mirror and --sha256 are about one medium", "name one", "NAME")
    made = build(of(context), chosen, Wish(mirror, sha256, source))
    if json:
        as_json([_document(manifest) for manifest in made])
        return
    for manifest in made:
        trust = manifest.facts.get("trust")
        say(
            f"{manifest.name} is there: {size(_bytes(manifest))}, "
            + (f"by {trust}" if trust else f"built {manifest.built}")
        )


def verify(
    context: typer.Context,
    names: list[str] = typer.Argument(None, metavar="[NAME]...", help="default: all"),
    json: bool = JSON,
) -> None:
    """Read media again, and compare every byte with what was added.

    Example:

        ironwake media verify rocky-9
    """
    from ironwake_imager import keeping

    store = _store(of(context))
    with drawing() as progress:
        wrong = keeping.verify(store, names or keeping.names(store), progress)
    if json:
        as_json([{"name": name, "whole": not why, "wrong": list(why)} for name, why in wrong])
    else:
        for name, why in wrong:
            say(f"{name} is whole" if not why else f"{name} is damaged: {'; '.join(why)}")
    keeping.refuse(wrong)


def remove(context: typer.Context, names: list[str] = _NAMES, json: bool = JSON) -> None:
    """Take media away, with all their bytes that nothing else needs.

    Example:

        ironwake media rm rocky-9
    """
    from ironwake_imager import keeping

    gone = keeping.remove(_store(of(context)), names)
    if json:
        as_json([{"name": name, "removed": True} for name in gone])
        return
    for name in gone:
        say(f"{name} is gone")


def build(session: Session, names: Sequence[str], wish: Wish | None = None) -> tuple[Manifest, ...]:
    """Add these and what they need, one after the other, and show how far they are."""
    from ironwake.errors import InputError
    from ironwake_imager import keeping, media, mounting
    from ironwake_imager.vendor.source import Wish as NoWish
    from ironwake_runtime.aptsources import mirror_of

    known, settings, store = _known(session), session.settings, _store(session)
    wanted = wish or NoWish()
    made = []
    media.check(names, mounting.is_allowed())
    with drawing() as progress:
        bringer = _bringer(session, known, progress)
        for name in media.with_needs(names, known, keeping.names(store)):
            if not media.is_built(name):
                if name not in known:
                    raise media.unknown(name, known)
                made.append(bringer.bring(known[name], wanted))
                continue
            if name in names and wanted != NoWish():
                raise InputError(
                    f"{name} is built here, of packages", "leave out --from, --mirror, --sha256"
                )
            mirror = mirror_of(settings.mirror)
            made.append(media.add(name, store, settings.cache_dir, mirror, progress))
    return tuple(made)


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


def _bringer(session: Session, known: Mapping[str, Medium], progress: Progress) -> Bringer:
    from ironwake.sizes import octets
    from ironwake_imager.download import Limits
    from ironwake_imager.vendor import signature
    from ironwake_imager.vendor.bring import Bringer, fetcher
    from ironwake_imager.vendor.publish import Publisher
    from ironwake_imager.vendor.source import Sources

    settings = session.settings
    limits = Limits(
        largest=octets(settings.image_largest),
        seconds=settings.image_minutes * 60,
        follow=True,
        plain=True,
    )
    keyrings = (settings.catalogue, *signature.SYSTEM)
    return Bringer(
        Publisher(_store(session), progress, known),
        Sources(fetcher(limits), keyrings),
        settings.cache_dir,
        limits,
    )


def _known(session: Session) -> Mapping[str, Medium]:
    from ironwake_runtime import catalogue as rows

    return rows.media(session.settings.catalogue)


def _store(session: Session) -> ArtifactStore:
    from ironwake_runtime.artifacts import ArtifactStore

    return ArtifactStore(session.settings.artifacts)


def _dropped(session: Session, known: Mapping[str, Medium]) -> tuple[Found, ...]:
    from ironwake_imager.vendor import opened

    return opened.dropped(session.settings.isos, known.values())


def _by_contents(source: Path, known: Mapping[str, Medium]) -> str:
    """The name of the medium that this file is."""
    from ironwake.errors import RefusedError
    from ironwake_imager.vendor import opened

    if source.is_dir():
        raise RefusedError("a folder is not known by its contents", "name the medium", str(source))
    found = opened.look(source, known.values())
    if not found.media:
        raise RefusedError(
            found.why_not, "name the medium, or add a row for it to the catalogue", str(source)
        )
    return found.media[0].name


def _way(name: str, known: Mapping[str, Medium]) -> str:
    from urllib.parse import urlsplit

    if name not in known:
        return "built here"
    return urlsplit(known[name].base).hostname or "you bring it"


def _say_dropped(dropped: Sequence[Found]) -> None:
    for one in dropped:
        if one.media:
            command = f"ironwake media add {one.media[0].name} --from {one.path}"
            say(f"found {one.path.name}: {one.media[0].title}; add it with: {command}")
        else:
            say(f"found {one.path.name}: {one.why_not}")


def _paths(name: str, dropped: Sequence[Found]) -> list[str]:
    return [str(one.path) for one in dropped if any(row.name == name for row in one.media)]


def _iso_size(manifest: Manifest) -> int:
    return manifest.artifacts["iso"].size if "iso" in manifest.artifacts else -1


def _bytes(manifest: Manifest) -> int:
    return sum(artifact.size for artifact in manifest.artifacts.values())


def _document(manifest: Manifest) -> object:
    from json import loads

    return loads(manifest.to_json())
