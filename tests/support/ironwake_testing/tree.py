"""The project's own files, for tests that read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
_CODE = ("core", "services", "agent", "cli", "lab")
_FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def read(*parts: str) -> str:
    """The text of one file, by its path below the root."""
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def documents() -> tuple[Path, ...]:
    """README.md and its sisters, and all of docs/."""
    return (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")))


def python(*folders: str) -> Iterator[Path]:
    """All Python files of these folders (default: of everything that is installed)."""
    for folder in folders or _CODE:
        yield from sorted((ROOT / folder).rglob("*.py"))


def blocks(text: str) -> list[tuple[str, str]]:
    """(language and name, body) of each fenced block of a Markdown text."""
    return [(match[2].strip(), match[3]) for match in _FENCE.finditer(text)]


def block(text: str, name: str) -> str:
    """The one block of that language and name."""
    (body,) = (body for kind, body in blocks(text) if kind == name)
    return body


def prose(text: str) -> str:
    """A Markdown text without its fenced blocks."""
    return _FENCE.sub("", text)


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    _, found, rest = text.partition(f"{heading}\n")
    assert found, heading
    lines = rest[rest.index("|") :].splitlines()
    table = lines[: next((n for n, line in enumerate(lines) if line[:1] != "|"), len(lines))]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[2:]]
