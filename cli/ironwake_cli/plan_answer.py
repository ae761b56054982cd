"""`ironwake plan --answer`: what a machine is told, and by whom."""

from __future__ import annotations

from collections.abc import Iterator
from json import dumps
from typing import Any

from ironwake_cli.output import table


def lines(found: dict[str, Any]) -> Iterator[str]:
    """For people: parameters with their origins, then the files."""
    yield f"{found['machine']} by profile {found['profile']}"
    yield ""
    heads = ("PARAMETER", "VALUE", "FROM")
    rows = [(one["name"], _value(one["value"]), one["origin"]) for one in found["parameters"]]
    yield from table(heads, rows)
    for name, text in found["files"].items():
        yield from ("", f"--- {name}")
        yield f"({len(text)} characters of base64)" if name in found["binary"] else text.rstrip()


def _value(value: Any) -> str:
    """On one line, as YAML could have it too."""
    if value in ("", None, [], {}):
        return "-"
    return value if isinstance(value, str) and value.isprintable() else dumps(value)
