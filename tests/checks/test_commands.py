"""Commands that documents and files quote can be typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from ironwake_cli.__main__ import build
from ironwake_testing.tree import ROOT, blocks, documents, prose, read

_ENDS = {"|", ";", "&", "&&", ")", "(", "`"}


def _quoted(text: str) -> Iterator[tuple[list[str], bool]]:
    """Words after each `ironwake`, and whether the command stands in a block, so is complete."""
    for kind, body in blocks(text):
        if kind == "sh":
            for line in body.splitlines():
                yield from ((words, True) for words in _commands(line))
    for code in re.findall(r"`([^`\n]+)`", prose(text)):
        if code.startswith("ironwake "):
            yield from ((words, False) for words in _commands(code))


def _commands(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line.replace("$(", " ( "), posix=True, punctuation_chars="|;&()")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words = list(lexer)
    for at, word in enumerate(words):
        if word == "ironwake":
            rest = words[at + 1 :]
            yield rest[: next((n for n, one in enumerate(rest) if one in _ENDS), len(rest))]


def _parse(words: list[str], complete: bool) -> None:
    command: Any = typer.main.get_command(build())
    rest = list(words)
    while rest and hasattr(command, "commands"):
        name = rest.pop(0)
        assert name in command.commands, f"there is no command {' '.join(words)}"
        command = command.commands[name]
    if hasattr(command, "commands"):
        assert not complete, f"{' '.join(words)} is only the beginning of a command"
        return
    command.make_context("ironwake", rest, resilient_parsing=not complete)


DOCUMENTS = [path for path in documents() if path.name != "CHANGELOG.md"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_quoted_commands_parse(path: Path) -> None:
    """Name, options and arguments are those that the command line takes."""
    for words, complete in _quoted(path.read_text(encoding="utf-8")):
        try:
            _parse(words, complete)
        except typer.TyperException as error:
            pytest.fail(f"ironwake {' '.join(words)}: {error.format_message()}")


def test_the_check_finds_what_it_looks_for() -> None:
    """It sees the README's commands, and a wrong one does not pass."""
    seen = [words for words, _ in _quoted(read("README.md"))]
    assert ["enroll", "node1", "--mac", "52:54:00:77:00:10"] in seen
    with pytest.raises(typer.TyperException):
        _parse(["deploy", "node1", "--porfile", "x"], complete=True)
    with pytest.raises(AssertionError):
        _parse(["enrol", "node1"], complete=True)


def test_targets_that_are_named_exist() -> None:
    """`make …` in a document is a target of the Makefile, and `make help` tells of each."""
    makefile = read("Makefile")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    told = set(re.findall(r"^([a-z0-9-]+):.*## ", makefile, re.MULTILINE))
    assert told == targets - {"help"} | ({"help"} & told)
    assert "bench-%:" in makefile
    for module in (ROOT / "bench" / "ironwake_bench").glob("*.py"):
        if "def main(" in module.read_text(encoding="utf-8"):
            targets.add(f"bench-{module.stem.replace('_', '-')}")
    for path in (*documents(), ROOT / ".ci" / "run"):
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"(?:`|^|sudo )make ([a-z0-9-]+)", text, re.MULTILINE)
        assert set(named) <= targets, path
