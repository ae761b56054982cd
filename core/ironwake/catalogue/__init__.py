"""The catalogue: releases, and where their media come from, as rows of TOML files.

Those of the files in this folder are built in. A user's own files have the same form: a row of a
name that is there already takes its place, whole.

    [[release]]
    name = "rocky-9"                  # one `ironwake.release.Release`
    …
    [[medium]]
    name = "rocky-9"                  # one `ironwake.medium.Row`, for each of its architectures
    …

A wrong row is told with its file and its name, and so that none is silently without effect, no row
of that kind is to be had until it is mended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from ironwake import wire
from ironwake.errors import InputError

_TABLES = ("release", "medium")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Text:
    """A file of rows: its name, for errors, and what stands in it."""

    name: str
    text: str


@cache
def built_in() -> tuple[Text, ...]:
    """Our own files, sorted by name."""
    # Here and not above: the agent has the core's code, but neither the rows nor a use for them.
    from importlib import resources

    there = resources.files(__name__).iterdir()
    files = sorted((one for one in there if one.name.endswith(".toml")), key=lambda one: one.name)
    return tuple(Text(one.name, one.read_text("utf-8")) for one in files)


def rows(kind: type[T], table: str, texts: Iterable[Text]) -> Iterator[tuple[str, T]]:
    """Each row of this table as a `kind`, after where it stands; InputError says which is wrong."""
    for text in texts:
        named: set[str] = set()
        for number, data in enumerate(_tables(text).get(table, ()), 1):
            place = f"{text.name}: {table} {data.get('name', number)!s:.60}"
            if str(data.get("name")) in named:
                raise InputError("this name is given twice", "give each row its own", place)
            named.add(str(data.get("name")))
            try:
                yield place, wire.load(kind, data)
            except InputError as error:
                raise placed(place, error) from None


def placed(place: str, error: InputError) -> InputError:
    """The same mistake, as one of the row that stands there."""
    return InputError(error.what, error.next_step, ": ".join(filter(None, (place, error.where))))


def _tables(text: Text) -> dict[str, list[dict[str, Any]]]:
    import tomllib

    try:
        data = tomllib.loads(text.text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        step = "see https://toml.io for the notation"
        raise InputError(f"this is not TOML: {error}", step, text.name) from None
    for name, found in data.items():
        if name not in _TABLES:
            raise InputError(
                f"there is no table {name!r:.60}", "known are: [[release]], [[medium]]", text.name
            )
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise InputError(f"{name} is no list of rows", f"write [[{name}]]", text.name)
    return data
