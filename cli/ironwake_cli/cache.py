"""`ironwake cache …`: the package cache of this host, looked at and emptied."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from ironwake.errors import InputError, UnknownError
from ironwake_cli.output import JSON, as_json, say, size, table
from ironwake_cli.session import of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ironwake_runtime.packagecounts import Counts, Kept

_SOURCE: str = typer.Option("", "--source", metavar="NAME", help="of this mirror only")


def status(context: typer.Context, json: bool = JSON) -> None:
    """Show what the package cache keeps, and how much it had to fetch, by mirror.

    Example:

        ironwake cache status
    """
    settings = of(context).settings
    rows = _rows(settings.packages_folder, _names(context))
    if json:
        told = {name: row.document() for name, row in rows.items()}
        as_json({"folder": str(settings.packages_folder), "sources": told})
        return
    heads = ("MIRROR", "KEPT", "FILES", "IMPORTED", "HITS", "MISSES", "ERRORS", "SENT", "SAVED")
    lines = [
        (
            name,
            size(row.kept),
            row.files,
            size(row.imported),
            *(row.counts.hits, row.counts.misses, row.counts.errors, size(row.counts.sent)),
            f"{row.counts.ratio:.0%}",
        )
        for name, row in rows.items()
    ]
    for line in table(heads, lines):
        say(line)
    kept = sum(row.kept for row in rows.values())
    say(f"{size(kept)} of {settings.packages_size} in {settings.packages_folder}")


def clean(
    context: typer.Context,
    source: str = _SOURCE,
    path: str = typer.Option(
        "", "--path", metavar="MIRROR/PATH", help="one file, or all below a folder; or its URL"
    ),
    imported: bool = typer.Option(False, "--imported", help="what bundles brought, instead"),
    json: bool = JSON,
) -> None:
    """Empty the package cache; it fills itself again. Imported mirrors stay, unless they are named.

    A path is as machines ask for it; what is not kept is no error.

    Example:

        ironwake cache clean --source debian
        ironwake cache clean --path debian/dists/bookworm
    """
    folder = of(context).settings.packages_folder
    if path and (source or imported):
        raise InputError("--path names its mirror itself", "leave out --source, --imported")
    if path:
        files, freed = _clean_path(context, path)
    else:
        _check(source, _names(context))
        files, freed = (_forget if imported else _drop)(folder, source)
    if json:
        as_json({"files": files, "freed": freed})
        return
    say(f"{size(freed)} are free again" if files else "nothing of that is there")


def _check(source: str, known: tuple[str, ...]) -> None:
    if source and source not in known:
        there = ", ".join(known) or "none"
        raise UnknownError(f"there is no mirror {source!r:.60}", f"there are: {there}")


def _clean_path(context: typer.Context, text: str) -> tuple[int, int]:
    from ironwake.packagecache import asked, is_within
    from ironwake_runtime import packagecache

    settings = of(context).settings
    name, path = asked(text)
    known = {one.name: one for one in packagecache.sources(settings) if one.url}
    if not name:
        raise InputError(f"{text!r:.80} names no mirror", "write it as in debian/dists", "--path")
    _check(name, tuple(known))
    return _drop(settings.packages_folder, name, lambda one: is_within(one.url, known[name], path))


def _drop(
    folder: Path, source: str, wanted: Callable[[Kept], bool] = lambda _: True
) -> tuple[int, int]:
    """Take away what was fetched; how many files, or slices of them, and their bytes."""
    from ironwake_runtime import packagecounts

    files, freed = 0, 0
    for one in packagecounts.kept(folder):
        if source in ("", one.source) and wanted(one):
            one.path.unlink(missing_ok=True)
            files, freed = files + 1, freed + one.size
    return files, freed


def _forget(folder: Path, source: str) -> tuple[int, int]:
    """Take away what bundles brought; how many files, and their bytes."""
    from ironwake_runtime import packagecache, packagecounts

    files, freed = 0, 0
    for one in packagecache.imported(folder):
        if source in ("", one.name):
            for count in packagecounts.imported_sizes(folder, one.name):
                files, freed = files + 1, freed + count
            packagecache.forget(folder, one.name)
    return files, freed


def _names(context: typer.Context) -> tuple[str, ...]:
    from ironwake_runtime import packagecache, packagecounts

    settings = of(context).settings
    sources = (source.name for source in packagecache.sources(settings))
    return tuple(dict.fromkeys((*sources, *packagecounts.load(settings.packages_folder))))


@dataclass
class _Row:
    """Of one mirror; sizes in bytes."""

    counts: Counts
    imported: int
    kept: int = 0
    files: int = 0

    def document(self) -> dict[str, int | float]:
        """For JSON: one object without inner ones."""
        more = {"kept": self.kept, "files": self.files, "imported": self.imported}
        return {**asdict(self.counts), **more, "ratio": round(self.counts.ratio, 4)}


def _rows(folder: Path, names: tuple[str, ...]) -> dict[str, _Row]:
    from ironwake_runtime import packagecounts

    book, kept = packagecounts.load(folder), tuple(packagecounts.kept(folder))
    rows = {
        name: _Row(
            book.get(name, packagecounts.Counts()),
            sum(packagecounts.imported_sizes(folder, name)),
        )
        for name in dict.fromkeys((*names, *(one.source for one in kept)))
    }
    for one in kept:
        rows[one.source].kept += one.size
        rows[one.source].files += 1
    return rows
