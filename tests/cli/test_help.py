"""Every command explains itself, with an example; and quickly."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from ironwake_cli.__main__ import build

_HEAVY = (
    "aiohttp",
    "httpx2",
    "pydantic",
    "structlog",
    "yaml",
    "scapy",
    "zstandard",
    "rich.progress",
)


def commands(
    group: Any = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands that do something, with their words."""
    group = group or typer.main.get_command(build())
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(commands())


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_an_example(path: tuple[str, ...]) -> None:
    """`--help` shows one line that can be typed, and that is a command which exists."""
    text = ALL[path].help or ""
    _, found, example = text.partition("Example:")
    assert found, f"{' '.join(path)} has no example"
    words = example.replace("$(", " ").split()
    typed = tuple(words[words.index("ironwake") + 1 :])
    assert typed[: len(path)] == path or (path, typed[0]) == (("machine", "add"), "enroll")


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_option_is_explained(path: tuple[str, ...]) -> None:
    """No argument or option is without a word about it."""
    wordless = [one.name for one in ALL[path].params if not getattr(one, "help", None)]
    assert wordless == []


def test_what_prints_data_prints_json_too() -> None:
    """Listings and the like take --json; only what starts, sends or draws does not."""
    without = {" ".join(path) for path, one in ALL.items() if "json" not in _names(one)}
    assert without == {
        "wake",
        "serve",
        "machine rm",
        "lab down",
        "lab console",
        "lab exec",
        "lab demo",
    }


def _names(command: Any) -> set[str]:
    return {one.name for one in command.params}


def test_help_needs_nothing_heavy() -> None:
    """`ironwake --help` is answered before any large library is imported."""
    code = (
        "import sys\n"
        "from ironwake_cli.__main__ import build\n"
        "build()\n"
        f"print([name for name in {_HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_module_is_the_command() -> None:
    """`python -m ironwake_cli` is `ironwake`."""
    done = subprocess.run(
        [sys.executable, "-m", "ironwake_cli", "--help"], capture_output=True, text=True, check=True
    )
    assert "Usage: ironwake " in done.stdout
