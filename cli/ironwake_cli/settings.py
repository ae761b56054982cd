"""`ironwake settings`: every setting there is, its value now, and what it means."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any

import typer

from ironwake.errors import InputError
from ironwake_cli.output import JSON, as_json, say, table
from ironwake_cli.session import of

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_HEAD = """\
# Settings

Made by `ironwake settings --markdown`. Settings are read from the environment, once, when a
process starts. One that is not in this list is an error. An empty one counts as not set.

| name | default | meaning |
|---|---|---|
"""


def settings(
    context: typer.Context,
    markdown: bool = typer.Option(False, "--markdown", help="print docs/settings.md"),
    json: bool = JSON,
) -> None:
    """List every setting, with its value now.

    Example:

        ironwake settings
    """
    from ironwake_runtime.settings import PREFIX, Settings

    if markdown and json:
        raise InputError("--markdown and --json exclude each other", "give one of them")
    if markdown:
        say(document().rstrip("\n"))
        return
    values = of(context).settings
    rows = [
        (f"{PREFIX}{name.upper()}", _text(getattr(values, name)), _meaning(field))
        for name, field in Settings.model_fields.items()
    ]
    if json:
        as_json([{"name": n, "value": v, "meaning": m} for n, v, m in rows])
        return
    for line in table(("NAME", "VALUE", "MEANING"), rows):
        say(line)


def document() -> str:
    """The text of docs/settings.md."""
    from ironwake_runtime.settings import PREFIX, Settings

    rows = (
        f"| `{PREFIX}{name.upper()}` | {_code(_text(field.default))} | {_meaning(field)} |\n"
        for name, field in Settings.model_fields.items()
    )
    return _HEAD + "".join(rows)


def _meaning(field: FieldInfo) -> str:
    choices = typing.get_args(field.annotation)
    words = [choice for choice in choices if isinstance(choice, str)]
    allowed = f" (one of: {', '.join(words)})" if words else ""
    return f"{field.description}{allowed}"


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
