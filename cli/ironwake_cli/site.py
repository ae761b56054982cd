"""`ironwake site`: what the appliance is to its network, and what it has in store."""

from __future__ import annotations

import typer

from ironwake_cli.output import JSON, as_json, facts, say
from ironwake_cli.session import of


def site(context: typer.Context, json: bool = JSON) -> None:
    """Show the running appliance: its address, its mode, its media, and what troubles it.

    Example:

        ironwake site
    """
    found = of(context).api.get("site")
    if json:
        as_json(found)
        return
    media = [one["name"] for one in found["media"]]
    trouble = found["trouble"].items()
    shown = {**found, "media": media, "trouble": "; ".join(f"{k}: {v}" for k, v in trouble)}
    for line in facts(shown.items()):
        say(line)
