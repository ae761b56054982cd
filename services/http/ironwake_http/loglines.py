"""Lines of syslog, as installers send them: RFC 3164, RFC 5424, and what is neither. Pure.

No datagram is refused for its form: what cannot be read is text. What a person shall not read
(tokens, hashes of passwords, commands out of answer files) is taken out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_LARGEST: Final = 2048  # octets that are looked at (RFC 5424 section 6.1)
_LONGEST: Final = 400  # characters that are kept
_PRIORITY: Final = re.compile(rb"<(\d{1,3})>")
_MODERN: Final = re.compile(r"1 \S+ \S+ (\S+) \S+ \S+ (.*)", re.DOTALL)
_DATE: Final = re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d ")
_TAG: Final = re.compile(r"([A-Za-z0-9_.()/-]{1,48})(?:\[[^\]]{0,16}\])?:\s?")
_LAST: Final = 191
_NOTICE: Final = 13  # user.notice (RFC 3164 §4.3.3: what has no priority)
_SECRETS: Final = re.compile(r"[0-9a-fA-F]{32,}|\$(?:1|5|6|y|2[aby])\$[^\s'\"]+")
_COMMAND: Final = re.compile(r"(?:preseed|late|early)[ _/]?command\b[^:]*:")


@dataclass(frozen=True)
class LogLine:
    """`severity`: 0 (emergency) to 7 (debug). `program` "" where none is named."""

    severity: int
    program: str
    text: str


def parse(data: bytes) -> LogLine:
    """One datagram."""
    data = data[:_LARGEST]
    found = _PRIORITY.match(data)
    if found and int(found[1]) > _LAST:
        found = None
    number = int(found[1]) if found else _NOTICE
    rest = data[found.end() :] if found else data
    text = rest.decode("utf-8", "replace").strip("\ufeff\0\r\n ")
    modern = _MODERN.fullmatch(text)
    if modern:
        program = "" if modern[1] == "-" else modern[1]
        return LogLine(number & 7, program[:48], _structured(modern[2]))
    dated = _DATE.match(text)
    if dated:
        text = text[dated.end() :]
    tag = _TAG.match(text)
    if tag is None and dated:  # a host's name before it
        _, _, behind = text.partition(" ")
        tag = _TAG.match(behind)
        text = behind if tag else text
    if tag is None:
        return LogLine(number & 7, "", text)
    return LogLine(number & 7, tag[1], text[tag.end() :])


def _structured(text: str) -> str:
    """What stands behind the structured data (RFC 5424 §6.3): `-`, or elements in brackets."""
    if text.startswith("-"):
        return text[1:].lstrip(" \ufeff")
    while text.startswith("["):
        found = re.match(r'\[(?:[^\]"]|"(?:[^"\\]|\\.)*")*\]', text)
        if not found:
            return text
        text = text[found.end() :]
    return text.lstrip(" \ufeff")


def shown(line: LogLine) -> str:
    """As a person may read it: one line, printable, without secrets."""
    text = _SECRETS.sub("…", _without_command(line.text))
    whole = f"{line.program}: {text}" if line.program else text
    plain = "".join(mark if mark.isprintable() else " " for mark in whole)
    return " ".join(plain.split())[:_LONGEST]


def _without_command(text: str) -> str:
    # Not behind the last colon: there each "command" would be followed to the end, in vain.
    found = _COMMAND.search(text, 0, text.rfind(":") + 1)
    return f"{text[: found.end()]} …" if found else text
