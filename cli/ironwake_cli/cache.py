"""`ironwake cache …`: the package cache of this host, looked at and emptied."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from ironwake.errors import UnknownError
from ironwake_cli.output import JSON, as_json, say, size, table
from ironwake_cli.session import of

if TYPE_CHECKING:
    from pathlib import Path

    from ironwake_runtime.packagecounts import Counts

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
    imported: bool = typer.Option(False, "--imported", help="what bundles brought, instead"),
    json: bool = JSON,
) -> None:
    """Empty the package cache; it fills itself again. Imported mirrors stay, unless they are named.

    Example:

        ironwake cache clean --source debian
    """
    from ironwake_runtime import packagecache, packagecounts

    folder = of(context).settings.packages_folder
    known = _names(context)
    if source and source not in known:
        there = ", ".join(known) or "none"
        raise UnknownError(f"there is no mirror {source!r:.60}", f"there are: {there}")
    freed = 0
    if imported:
        for one in packagecache.imported(folder):
            if source in ("", one.name):
                freed += packagecounts.imported_size(folder, one.name)
                packagecache.forget(folder, one.name)
    else:
        for name, path, count in packagecounts.kept(folder):
            if source in ("", name):
                path.unlink(missing_ok=True)
                freed += count
    if json:
        as_json({"freed": freed})
        return
    say(f"{size(freed)} are free again")


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
            book.get(name, packagecounts.Counts()), packagecounts.imported_size(folder, name)
        )
        for name in dict.fromkeys((*names, *(name for name, _, _ in kept)))
    }
    for name, _, count in kept:
        rows[name].kept += count
        rows[name].files += 1
    return rows
