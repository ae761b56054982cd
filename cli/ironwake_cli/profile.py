"""`ironwake profile …`: what machines can become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ironwake.errors import InputError
from ironwake_cli.output import JSON, as_json, facts, note, say, table
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


def import_layout(
    file: Path = typer.Argument(..., help="SystemImager's disks-layout.xml", show_default=False),
    match: list[str] = typer.Option(
        [], "--match", help="which disk is meant, as in /dev/sda=WD-1234 (may be given again)"
    ),
    json: bool = JSON,
) -> None:
    """Print a disks-layout.xml as the layout of a profile, and what was left out.

    Example:

        ironwake profile import-layout disks-layout.xml --match /dev/sda=WD-1234
    """
    import yaml

    from ironwake.layout import systemimager
    from ironwake_runtime.yamlfile import placed

    try:
        found = systemimager.read(file.read_bytes(), dict(_meant(one) for one in match))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}", "name a file") from None
    except InputError as error:
        raise placed(error, file.name) from None
    for line, text in found.notes:
        note(f"{file.name}:{line}: {text}")
    if json:
        as_json(found.layout)
        return
    say(yaml.safe_dump({"layout": found.layout}, sort_keys=False, default_flow_style=None).rstrip())


def _meant(text: str) -> tuple[str, str]:
    device, _, meant = text.partition("=")
    if not device.startswith("/dev/") or not meant:
        raise InputError(
            f"{text!r:.60} names no disk", "write it as in /dev/sda=WD-1234", "--match"
        )
    return device, meant
