"""Frozen dataclasses to JSON and back, strictly: what a peer sent is checked once, here.

`load` takes plain JSON data and a dataclass and answers an instance or an InputError that names the
field. Understood in annotations: str, int, float, bool, None and unions with it, enums of text,
tuples of one type (`tuple[T, ...]`), `dict[str, T]`, nested dataclasses, and subclasses of str that
check themselves (`Mac`).
"""

from __future__ import annotations

import dataclasses
import json
import types
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ironwake.errors import InputError

T = TypeVar("T")


def dump(value: Any) -> Any:
    """A dataclass (or tuple, dict, scalar of them) as plain JSON data."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: dump(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): dump(item) for key, item in value.items()}
    if isinstance(value, list | tuple | frozenset | set):
        return [dump(item) for item in value]
    return str(value) if isinstance(value, str) else value


def encode(value: Any) -> bytes:
    """Canonical JSON: the same value always gives the same bytes, so that they can be hashed."""
    data = dump(value)
    return json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def decode(kind: type[T], raw: bytes | str) -> T:
    """JSON text to an instance of `kind`; InputError when it is not JSON or not of that shape."""
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InputError(f"this is not JSON: {error}", "send a JSON document") from None
    return load(kind, data)


def load(kind: type[T], data: Any) -> T:
    """Plain JSON data to an instance of the dataclass `kind`."""
    result: T = _value(kind, data, "")
    return result


@cache
def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    """Of each field of a dataclass: its type, and whether it may be left out."""
    hints, missing = get_type_hints(kind), dataclasses.MISSING
    return {
        field.name: (
            hints[field.name],
            field.default is not missing or field.default_factory is not missing,
        )
        for field in dataclasses.fields(kind)
    }


@cache
def _sort(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """Which of the understood annotations it is, and what is in its brackets.

    Found out once for each: thousands of machines are read at a time.
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return Union, get_args(kind)
    if origin in (tuple, dict):
        return origin, get_args(kind)
    return (object if dataclasses.is_dataclass(kind) else kind), ()


def _value(kind: Any, data: Any, where: str) -> Any:
    sort, inside = _sort(kind)
    if sort is Union:
        return _union(inside, data, where)
    if sort is tuple and inside:
        return tuple(
            _value(inside[0], item, f"{where}[{index}]")
            for index, item in enumerate(_expect(list, data, where))
        )
    if sort is dict and inside:
        pairs = _expect(dict, data, where).items()
        return {
            _expect(str, key, where): _value(inside[1], item, f"{where}.{key}".lstrip("."))
            for key, item in pairs
        }
    if sort is object:
        return _dataclass(kind, data, where)
    return data if kind is Any else _scalar(kind, data, where)


def _union(kinds: tuple[Any, ...], data: Any, where: str) -> Any:
    if data is None and type(None) in kinds:
        return None
    (kind,) = (kind for kind in kinds if kind is not type(None))
    return _value(kind, data, where)


def _scalar(kind: type, data: Any, where: str) -> Any:
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return _float(data, where)
    if issubclass(kind, Enum):
        try:
            return kind(data)
        except ValueError:
            allowed = ", ".join(str(member.value) for member in kind)
            raise InputError(f"{data!r} is none of: {allowed}", where=where) from None
    if issubclass(kind, str) and kind is not str:
        try:
            return kind(_expect(str, data, where))
        except InputError as error:
            raise InputError(error.what, error.next_step, where) from None
    return _expect(kind, data, where)


def _dataclass(kind: Any, data: Any, where: str) -> Any:
    fields = _fields(kind)
    given = _expect(dict, data, where)
    for name in given:
        if name not in fields:
            raise InputError(
                f"there is no field {name!r:.60}",
                f"known are: {', '.join(fields)}",
                f"{where}.{name}".lstrip("."),
            )
    values: dict[str, Any] = {}
    for name, (inner, optional) in fields.items():
        if name in given:
            values[name] = _value(inner, given[name], f"{where}.{name}" if where else name)
        elif not optional:
            place = f"{where}.{name}".lstrip(".")
            raise InputError("this field is missing", f"give {name}", place)
    try:
        return kind(**values)
    except InputError as error:  # it names its own field: say in which of many
        place = f"{where}.{error.where}".strip(".")
        raise InputError(error.what, error.next_step, place) from None


def _float(data: int, where: str) -> float:
    try:
        return float(data)
    except OverflowError:
        raise InputError("this number is too large", where=where) from None


_NAMES = {
    list: "a list",
    dict: "an object",
    str: "text",
    int: "a whole number",
    bool: "true or false",
}


def _expect(kind: type, data: Any, where: str) -> Any:
    # bool is an int to Python, never to a person who wrote `port: true`
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        wanted = _NAMES.get(kind, "a number")
        raise InputError(f"{wanted} is wanted here, not {data!r:.60}", where=where)
    if isinstance(data, str) and not data.isprintable() and _half(data):
        raise InputError("this text is not Unicode: it has half a character in it", where=where)
    return data


def _half(text: str) -> bool:
    r"""Whether JSON brought a lone surrogate (`"\ud800"`) along, which no encoding takes."""
    return any(0xD800 <= ord(character) <= 0xDFFF for character in text)
