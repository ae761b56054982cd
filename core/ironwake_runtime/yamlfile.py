"""YAML files that people write: read into a checked type, mistakes told with line and field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import yaml

from ironwake import wire
from ironwake.errors import InputError, IronwakeError

T = TypeVar("T")

# What PyYAML raises for what people write: behind a tag, whatever Python says of its value.
FAULTS = (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError, TypeError)


def parse(
    kind: type[T], raw: bytes, example: str = "", check: Callable[[T], object] | None = None
) -> T:
    """A file's text as an instance of the dataclass `kind`.

    :param example: a line that a file must have at least, for whoever left it empty
    :param check: raises InputError for what the type itself cannot know
    :raises InputError: `where` is "<line> <field>", or "<line>"
    """
    try:
        lines, data = _load(raw)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = error.problem or error.context or "this is not YAML"
        place = str(mark.line + 1) if mark else ""
        raise InputError(said, "see https://yaml.org for the notation", place) from None
    except FAULTS as error:
        first = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"this is not YAML: {first}") from None
    if data is None:
        raise InputError("the file is empty", f"give at least: {example}" if example else "", "1")
    try:
        found = wire.load(kind, data)
        if check is not None:
            check(found)
    except IronwakeError as error:
        place = f"{_line(lines, error.where)} {error.where}".strip()
        raise InputError(error.what, error.next_step, place) from None
    return found


def placed(error: InputError, name: str) -> InputError:
    """A mistake that `parse` found, as one of the file of this name: "<name>:<line>"."""
    line, _, field = error.where.partition(" ")
    place = f"{name}:{line}" if line.isdigit() else name
    what = f"{field}: {error.what}" if field else error.what
    return InputError(what, error.next_step, place)


class _Loader(yaml.SafeLoader):
    """Without aliases (they can make a huge thing of a small file) and without repeated keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's own
            raise yaml.MarkedYAMLError(
                None, None, "aliases are not taken: write it out", event.start_mark
            )
        return super().compose_node(parent, index)


def _load(raw: bytes) -> tuple[dict[str, int], Any]:
    loader = _Loader(raw)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}, None
        lines: dict[str, int] = {}
        _walk(node, "", lines)
        return lines, loader.construct_document(node)
    finally:
        loader.dispose()


def _walk(node: yaml.Node, path: str, lines: dict[str, int]) -> None:
    """Note the line of every field, by the path that `wire` calls it."""
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, f"{path}[{index}]", lines)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = f"{path}.{getattr(key, 'value', '')}".lstrip(".")
            if place in lines:
                raise yaml.MarkedYAMLError(None, None, f"{place} is given twice", key.start_mark)
            lines[place] = key.start_mark.line + 1
            _walk(value, place, lines)


def _line(lines: dict[str, int], where: str) -> int:
    """The line of a field; of what holds it, where the field itself is not there."""
    while where and where not in lines:
        where = where[: max(where.rfind("."), where.rfind("["), 0)]
    return lines.get(where, 1)
