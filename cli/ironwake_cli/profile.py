"""`ironwake profile …`: what machines can become."""

from __future__ import annotations

import typer

from ironwake_cli.output import as_json, facts, say, table
from ironwake_cli.session import of

JSON = typer.Option(False, "--json", help="print JSON")


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
    cells = [
        (row["name"], row.get("release"), row.get("method"), _short(row), row.get("error"))
        for row in rows
    ]
    for line in table(heads, cells):
        say(line)


def _short(row: dict[str, object]) -> str:
    return str(row.get("revision") or "")[:12]


def show(
    context: typer.Context,
    name: str = typer.Argument(..., help="the profile's name", show_default=False),
    json: bool = JSON,
) -> None:
    """Show one profile.

    Example:

        ironwake profile show debian
    """
    from ironwake_cli.api import segment

    found = of(context).api.get(f"profiles/{segment(name)}")
    if json:
        as_json(found)
        return
    for line in facts(found.items()):
        say(line)
