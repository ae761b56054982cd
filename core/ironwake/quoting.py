"""Text that stays text in an answer file: one filter for each format that is not dumped as data.

Families use them, and templates have them by these names. A filter gives what reads back as the
very text, or raises InputError: it never changes a text.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final
from xml.sax.saxutils import quoteattr

from ironwake.errors import InputError

_LINE = "it has a line break or another control character in it"


def shell(text: str) -> str:
    """One word of a POSIX shell (XCU 2.2.2: between single quotes nothing is special)."""
    if "\0" in text:
        raise InputError("no word of a shell has a zero in it", "leave it out")
    return shlex.quote(text)


def preseed(text: str) -> str:
    """The value of an answer, which runs to the end of its line; there is no quoting.

    debconf-set-selections joins lines at a backslash, and cuts blanks off at both ends.
    """
    if not text.isprintable():
        raise InputError(f"this cannot be an answer in a preseed: {_LINE}", "write it on one line")
    if text.endswith("\\") or text != text.strip():
        raise InputError(
            "an answer in a preseed begins and ends with no blank, and ends with no backslash",
            "write it otherwise",
        )
    return text


def kickstart(text: str) -> str:
    """One word of a kickstart's command: pykickstart splits lines as shlex does."""
    if not text.isprintable():
        raise InputError(f"this cannot be a word in a kickstart: {_LINE}", "write it on one line")
    return shlex.quote(text)


def xml(text: str) -> str:
    """Text, or what stands between an attribute's double quotes (XML 1.0 sections 2.2, 2.4, 3.3.3).

    Line breaks and tabs go as references: in an attribute they would be read as blanks.
    """
    if any(not _is_xml(ord(letter)) for letter in text):
        raise InputError("XML has no place for one of these characters", "leave it out")
    entities = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;", '"': "&quot;"}
    return quoteattr(text, entities).strip('"').replace("'", "&apos;")


def yaml(text: str) -> str:
    """A scalar between double quotes: JSON's are YAML's (YAML 1.2 section 1.3)."""
    return json.dumps(text)


def _is_xml(code: int) -> bool:
    return (
        code in (0x9, 0xA, 0xD)
        or 0x20 <= code <= 0xD7FF
        or 0xE000 <= code <= 0xFFFD
        or 0x10000 <= code <= 0x10FFFF
    )


FILTERS: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {"shell": shell, "preseed": preseed, "kickstart": kickstart, "xml": xml, "yaml": yaml}
)
