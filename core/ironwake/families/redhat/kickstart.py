"""The kickstart format: commands, one on a line, and sections from `%name` to `%end`.

There is no library for it that a product of ours may import (pykickstart is GPL-2.0-only), so what
is written here is read back by `parse`, which splits lines as pykickstart does: by shlex, with `#`
for comments, and by every kind of line break that Python knows.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ironwake import quoting
from ironwake.errors import InputError

Command = tuple[str, ...]
_SECTIONS = (
    *("%pre", "%pre-install", "%post", "%onerror", "%traceback"),
    *("%packages", "%addon", "%anaconda", "%certificate"),
)
_BRINGS_IN = ("%include", "%ksappend")
_ALL_LINES = ("%pre", "%pre-install", "%post", "%onerror", "%traceback", "%certificate")


@dataclass(frozen=True)
class Section:
    """`head` is its first line's words; `lines` are what stands in it."""

    head: Command
    lines: tuple[str, ...]


def section(head: str, text: str) -> Section:
    """A section of text lines; InputError where one of them would end it, or begin another."""
    lines = tuple(text.splitlines())
    if "\n".join(lines) != text.rstrip("\n"):
        raise InputError(
            f"a script for {head} has a character that ends a line in a kickstart",
            "put it into parameters.scripts",
            "scripts",
        )
    for line in lines:
        if line.lstrip().startswith("%"):
            raise InputError(
                f"{line!r:.60} cannot stand in a section of a kickstart",
                "write it otherwise",
                "scripts",
            )
    return Section(tuple(head.split()), lines)


def line(command: Sequence[str]) -> str:
    """A command's line, each word quoted where it needs to be."""
    try:
        return " ".join(quoting.kickstart(word) for word in command)
    except InputError as error:
        raise InputError(error.what, error.next_step, command[0]) from None


def dump(commands: Iterable[Command], sections: Iterable[Section]) -> str:
    """The file; InputError where it would not be read as it is meant."""
    commands, sections = list(commands), list(sections)
    lines = [line(command) for command in commands]
    for one in sections:
        lines += ["", line(one.head), *one.lines, "%end"]
    text = "\n".join(lines) + "\n"
    if parse(text) != data(commands, sections):
        raise InputError("a value would be read as something else", "write it otherwise", "ks.cfg")
    return text


def data(commands: Iterable[Command], sections: Iterable[Section]) -> dict[str, object]:
    """As `parse` gives it."""
    return {
        "commands": [list(command) for command in commands],
        "sections": [
            {"head": list(one.head), "lines": _lines(one.head[0], one.lines)} for one in sections
        ],
    }


def parse(text: str) -> dict[str, object]:
    """`commands`, each a list of words, and `sections` with `head` and `lines`.

    InputError with the line's number as `where` for what is no kickstart.
    """
    return data(*_read(text))


def commands_of(text: str) -> list[Command]:
    """Its commands, without its sections, but with what brings in a file from within one, which may
    have commands (pykickstart reads both lines there, too); InputError as of `parse`.
    """
    commands, sections = _read(text)
    rows = (row.split() for one in sections for row in one.lines)
    return [*commands, *(tuple(words) for words in rows if words and words[0] in _BRINGS_IN)]


def _read(text: str) -> tuple[list[Command], list[Section]]:
    commands: list[Command] = []
    sections: list[Section] = []
    head: Command = ()
    body: list[str] = []
    for number, row in enumerate(text.splitlines(), 1):
        first = row.split()[0] if row.strip() else ""
        if head:
            if first == "%end":
                sections.append(Section(head, tuple(body)))
                head, body = (), []
            elif first in _SECTIONS:
                raise InputError(f"{head[0]} does not end before {first}", "add %end", str(number))
            else:
                body.append(row)
            continue
        words = _split(row, number)
        if not words:
            continue
        if words[0] in _SECTIONS:
            head = words
        elif words[0].startswith("%") and words[0] != "%include":
            raise InputError(f"there is no section {words[0]!r:.60}", "correct it", str(number))
        else:
            commands.append(words)
    if head:
        raise InputError(f"{head[0]} does not end", "add %end", str(len(text.splitlines())))
    return commands, sections


def _split(row: str, number: int) -> Command:
    try:
        return tuple(shlex.split(row, comments=True))
    except ValueError as error:
        raise InputError(
            f"this line's quotes are wrong: {error}", "close them", str(number)
        ) from None


def _lines(name: str, lines: Iterable[str]) -> list[str]:
    """What counts: in a list of packages, blank lines and comments do not."""
    if name in _ALL_LINES:
        return list(lines)
    return [row.strip() for row in lines if row.strip() and not row.lstrip().startswith("#")]
