"""`ironwake profile …`: what machines can become."""

from __future__ import annotations

from typing import Any

import typer

from ironwake_cli.output import JSON, as_json, facts, say, table
from ironwake_cli.session import of


def listing(context: typer.Context, json: bool = JSON) -> None:
    """List the profiles, the broken ones with what is wrong.

    Example:

        ironwake profile list
    """
    rows = list(of(context).api.listing("profiles"))
    if json:
        as_json(rows)
        return
    heads = ("NAME", "RELEASE", "METHOD", "REVISION", "ERROR")
    for line in table(heads, [_cells(row) for row in rows]):
        say(line)


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    profile = row["profile"] or {}
    short = row["revision"][:12]
    return row["name"], profile.get("release"), profile.get("method"), short, row["error"]


def show(
    context: typer.Context,
    name: str = typer.Argument(..., help="the profile's name", show_default=False),
    json: bool = JSON,
) -> None:
    """Show one profile.

    Example:

        ironwake profile show debian-12
    """
    from ironwake_cli.api import segment

    found = of(context).api.get(f"profiles/{segment(name)}")
    if json:
        as_json(found)
        return
    for line in facts({**found["profile"], "revision": found["revision"]}.items()):
        say(line)
