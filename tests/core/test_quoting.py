"""Quoting: what goes into an answer file comes out as the very text, or is refused."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake import quoting
from ironwake.errors import InputError

HOSTILE = st.text() | st.text("ab \\\"'`$;|&<>(){}%#!\n\r\t\0\x85\u2028")


def _read_shell(text: str) -> str:
    (word,) = shlex.split(text)
    return word


def _read_preseed(text: str) -> str:
    """As debconf-set-selections does: lines end at line feeds, values at the last letter."""
    assert "\n" not in text
    assert not text.endswith("\\")
    return text.strip()


def _read_kickstart(text: str) -> str:
    (line,) = text.splitlines() or [""]
    (word,) = shlex.split(line, comments=True)
    return word


def _read_xml(text: str) -> str:
    tree = ElementTree.fromstring(f'<a b="{text}">{text}</a>')  # noqa: S314 (our own text)
    assert tree.get("b") == (tree.text or "")
    return tree.text or ""


READERS: dict[str, Callable[[str], Any]] = {
    "shell": _read_shell,
    "preseed": _read_preseed,
    "kickstart": _read_kickstart,
    "xml": _read_xml,
    "yaml": json.loads,
}


@pytest.mark.parametrize("name", READERS)
@given(text=HOSTILE)
def test_what_is_quoted_reads_back_as_it_was(name: str, text: str) -> None:
    """Equal, or refused: no filter changes a text."""
    try:
        quoted = quoting.FILTERS[name](text)
    except InputError:
        return
    assert READERS[name](quoted) == text


def test_every_filter_is_tested() -> None:
    """A new one comes with its reader."""
    assert set(READERS) == set(quoting.FILTERS)
