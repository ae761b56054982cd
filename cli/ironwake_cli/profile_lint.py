"""`ironwake profile lint`: profiles looked at as the appliance does, and without one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ironwake import wire
from ironwake.errors import InputError
from ironwake.machine import labels_of
from ironwake_cli.output import JSON, as_json, note, say

if TYPE_CHECKING:
    from ironwake_controller.lint import Finding, Report


def lint(
    paths: list[Path] = typer.Argument(
        ..., metavar="FILE|FOLDER...", help="profiles, or folders of them", show_default=False
    ),
    parameters: Path | None = typer.Option(
        None, "--parameters", help="the folder of site.yaml, groups, machines; looked at as well"
    ),
    catalogue: Path | None = typer.Option(
        None, "--catalogue", help="the folder of your own releases"
    ),
    machine: str = typer.Option("lint", "--machine", help="as if for the machine of this name"),
    label: list[str] = typer.Option([], "--label", help="a label that it has, as in role=db"),
    json: bool = JSON,
) -> None:
    """Look at profiles without an appliance: fields, parameters, layouts, and the answer files
    that would be made of them, by the formats' own tools where these are installed.

    Ends with status 1 where anything is wrong.

    Example:

        ironwake profile lint profiles/

        ironwake profile lint profiles/web.yaml --parameters parameters --label role=db
    """
    from ironwake import release
    from ironwake_controller.lint import Lint
    from ironwake_runtime import catalogue as own

    known = own.releases(catalogue) if catalogue else None
    found = Lint(
        partial(release.find, among=known), parameters, machine, labels_of(label, "--label")
    )
    found.scopes()
    for path in _files(paths):
        found.profile(path)
    report = found.report
    if json:
        as_json(wire.dump(report))
    else:
        for finding in report.findings:
            say(line(finding))
        for said in report.notes:
            note(f"note: {line(said)}")
        _close(report)
    if report.findings:
        raise typer.Exit(1)


def line(finding: Finding) -> str:
    """As compilers say it, so that editors find the place."""
    field = f"{finding.field}: " if finding.field else ""
    by = f" [{finding.by}]" if finding.by else ""
    step = f"; {finding.next_step}" if finding.next_step else ""
    return f"{finding.file}:{finding.line}: {field}{finding.what}{step}{by}"


def _close(report: Report) -> None:
    for judge, form in report.absent.items():
        note(f"not judged by {judge}, which is not installed ({form})")
    wrong = len({finding.file for finding in report.findings})
    note(f"{len(report.looked_at)} looked at, {wrong} wrong")


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.exists():
            raise InputError(f"there is no {path}", "name a file, or a folder of profiles")
        yield from sorted((*path.glob("*.yaml"), *path.glob("*.yml"))) if path.is_dir() else (path,)
