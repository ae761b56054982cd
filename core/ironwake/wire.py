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
from collections.abc import Callable
from enum import Enum
from functools import cache, partial
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ironwake.errors import InputError

T = TypeVar("T")

_Reader = Callable[[Any], Any]
_PLAIN = frozenset({str, int, float, bool, type(None)})


def dump(value: Any) -> Any:
    """A dataclass (or tuple, dict, scalar of them) as plain JSON data."""
    kind: Any = type(value)
    if kind in _PLAIN:
        return value
    names = _names(kind)
    if names is not None:
        return {name: dump(getattr(value, name)) for name in names}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): dump(item) for key, item in value.items()}
    if isinstance(value, list | tuple | frozenset | set):
        return [dump(item) for item in value]
    return str(value) if isinstance(value, str) else value


@cache
def _names(kind: type) -> tuple[str, ...] | None:
    """The fields of a dataclass; None for every other type."""
    if not dataclasses.is_dataclass(kind):
        return None
    return tuple(field.name for field in dataclasses.fields(kind))


def encode(value: Any) -> bytes:
    """Canonical JSON: the same value always gives the same bytes, so that they can be hashed."""
    data = dump(value)
    return json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For json.loads: these pairs as an object, ValueError where a name comes twice.

    Of such a name some readers take the first and some the last (RFC 8259 section 4).
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice in an object")
    return found


def _foreign(raw: bytes | str) -> Any:
    # Python's reader guesses UTF-16 and UTF-32, too; JSON is UTF-8 (RFC 8259 section 8.1).
    text = raw.decode() if isinstance(raw, bytes) else raw
    return json.loads(text, object_pairs_hook=once)


def decode(kind: type[T], raw: bytes | str, *, foreign: bool = False) -> T:
    """JSON text to an instance of `kind`; InputError when it is not JSON or not of that shape.

    `foreign`: not from one of our own services, so it must mean the same to every reader.
    """
    try:
        data = _foreign(raw) if foreign else json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InputError(f"this is not JSON: {error}", "send a JSON document") from None
    return load(kind, data)


def load(kind: type[T], data: Any) -> T:
    """Plain JSON data to an instance of the dataclass `kind`."""
    annotation: Any = kind
    result: T = _reader(annotation)(data)
    return result


def parts(kind: type, data: Any) -> dict[str, Any]:
    """Those fields of the dataclass `kind` that `data` gives, each read by itself; none is missing.

    InputError as of `load`. What the dataclass itself would check is not looked at.
    """
    return _values(kind, data, whole=False)


@cache
def _reader(kind: Any) -> _Reader:
    """What reads this annotation; made once for each: thousands of machines are read at a time.

    What it raises says where in its own data; who called it puts its place before that.
    """
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (inner,) = (one for one in inside if one is not type(None))
        return _optional(_reader(inner)) if type(None) in inside else _reader(inner)
    if origin is tuple and inside:
        return _items(_reader(inside[0]))
    if origin is dict and inside:
        return _pairs(_reader(inside[1]))
    if dataclasses.is_dataclass(kind):
        return partial(_dataclass, kind)
    if kind is Any:
        return _as_it_is
    if kind is float:
        return _float
    if issubclass(kind, Enum):
        return partial(_member, kind)
    if issubclass(kind, str) and kind is not str:
        return partial(_checked, kind)
    return partial(_expect, kind)


def _as_it_is(data: Any) -> Any:
    return data


def _optional(read: _Reader) -> _Reader:
    return lambda data: None if data is None else read(data)


def _items(read: _Reader) -> _Reader:
    def items(data: Any) -> tuple[Any, ...]:
        found = []
        for item in _expect(list, data):
            try:
                found.append(read(item))
            except InputError as error:
                raise inside(f"[{len(found)}]", error) from None
        return tuple(found)

    return items


def _pairs(read: _Reader) -> _Reader:
    def pairs(data: Any) -> dict[str, Any]:
        found = {}
        for key, item in _expect(dict, data).items():
            _expect(str, key)
            try:
                found[key] = read(item)
            except InputError as error:
                raise inside(key, error) from None
        return found

    return pairs


def _member(kind: type[Enum], data: Any) -> Enum:
    try:
        return kind(data)
    except ValueError:
        allowed = ", ".join(str(member.value) for member in kind)
        raise InputError(f"{data!r} is none of: {allowed}") from None


def _checked(kind: Any, data: Any) -> Any:
    try:
        return kind(_expect(str, data))
    except InputError as error:
        raise InputError(error.what, error.next_step) from None


@cache
def _fields(kind: type) -> dict[str, tuple[_Reader, bool]]:
    """Of each field of a dataclass: what reads it, and whether it may be left out."""
    hints, missing = get_type_hints(kind), dataclasses.MISSING
    return {
        field.name: (
            _reader(hints[field.name]),
            field.default is not missing or field.default_factory is not missing,
        )
        for field in dataclasses.fields(kind)
    }


def _dataclass(kind: Any, data: Any) -> Any:
    return kind(**_values(kind, data, whole=True))  # its InputError names its own field


def _values(kind: type, data: Any, *, whole: bool) -> dict[str, Any]:
    fields = _fields(kind)
    given = _expect(dict, data)
    for name in given:
        if name not in fields:
            known = f"known are: {', '.join(fields)}"
            raise InputError(f"there is no field {name!r:.60}", known, str(name))
    values: dict[str, Any] = {}
    for name, (read, optional) in fields.items():
        if name in given:
            try:
                values[name] = read(given[name])
            except InputError as error:
                raise inside(name, error) from None
        elif whole and not optional:
            raise InputError("this field is missing", f"give {name}", name)
    return values


def inside(place: str, error: InputError) -> InputError:
    """The same error, of the whole that `place` is a part of."""
    gap = "." if error.where and not error.where.startswith("[") else ""
    return InputError(error.what, error.next_step, f"{place}{gap}{error.where}")


def _float(data: Any) -> Any:
    if isinstance(data, int) and not isinstance(data, bool):
        try:
            return float(data)
        except OverflowError:
            raise InputError("this number is too large") from None
    return _expect(float, data)


_NAMES = {
    list: "a list",
    dict: "an object",
    str: "text",
    int: "a whole number",
    bool: "true or false",
}


def _expect(kind: type, data: Any) -> Any:
    # bool is an int to Python, never to a person who wrote `port: true`
    if not isinstance(data, kind) or ((data is True or data is False) and kind is not bool):
        # Not the value: a password of digits, without quotes, is no text to YAML.
        found = "nothing" if data is None else _NAMES.get(type(data), "a number")
        raise InputError(f"{_NAMES.get(kind, 'a number')} is wanted here, not {found}")
    if isinstance(data, str) and not data.isprintable() and _half(data):
        raise InputError("this text is not Unicode: it has half a character in it")
    return data


def _half(text: str) -> bool:
    r"""Whether JSON brought a lone surrogate (`"\ud800"`) along, which no encoding takes."""
    return any(0xD800 <= ord(character) <= 0xDFFF for character in text)
