"""`ironwake token`: where the key to the API lies."""

from __future__ import annotations

import typer

from ironwake_cli.output import JSON, as_json, say
from ironwake_cli.session import of


def token(
    context: typer.Context,
    show: bool = typer.Option(False, "--show", help="print the token itself"),
    json: bool = JSON,
) -> None:
    """Print the path of the admin token's file, or the token itself.

    Example:

        curl -H "Authorization: Bearer $(ironwake token --show)" http://127.0.0.1:8080/v1/machines
    """
    session = of(context)
    value = session.token() if show else None
    if json:
        as_json({"file": str(session.token_path), **({"token": value} if value else {})})
    else:
        say(value or str(session.token_path))
