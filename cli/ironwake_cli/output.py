"""What people and scripts read: tables and plain lines, or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer

JSON: bool = typer.Option(False, "--json", help="print JSON")


def say(line: str = "") -> None:
    """One line on standard output."""
    typer.echo(line)


def note(line: str) -> None:
    """One line on standard error: for what is not the command's result."""
    typer.echo(line, err=True)


def as_json(data: Any) -> None:
    """The data as JSON on standard output."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> tuple[str, ...]:
    """Lines of left-aligned columns, two blanks between them, never cut: grep finds everything."""
    cells = [tuple(heads), *(tuple(_cell(value) for value in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    return tuple(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def facts(pairs: Iterable[tuple[str, object]]) -> tuple[str, ...]:
    """Lines of `name  value`, the empty ones left out; a field's `last_seen` is "last seen"."""
    kept = [(name.replace("_", " "), _cell(value)) for name, value in pairs if _cell(value) != "-"]
    width = max((len(name) for name, _ in kept), default=0)
    return tuple(f"{name.ljust(width)}  {value}" for name, value in kept)


def size(count: int) -> str:
    """Bytes for people, in decimal units as disks have them: "311 MB"."""
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def on_terminal() -> bool:
    """Whether a person watches standard output."""
    return sys.stdout.isatty()


def _cell(value: object) -> str:
    match value:
        case True:
            return "yes"
        case False:
            return "no"
        case None:
            return "-"
        case dict():
            text = ",".join(f"{key}={item}" for key, item in value.items())
        case list() | tuple():
            text = ",".join(str(item) for item in value)
        case _:
            text = str(value)
    return text or "-"
