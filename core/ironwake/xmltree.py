"""XML that people hand in, with the line of each element, and without what makes it dangerous.

A document type can make a huge document of a small one (entities), or read files of this machine:
none is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from ironwake.errors import InputError

_MOST = 1 << 20  # bytes
_DEEPEST = 50


@dataclass
class Element:
    """Its attributes and its children in order; texts between them are left out."""

    name: str
    line: int
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Element]:
        """The children of that name."""
        return (child for child in self.children if child.name == name)

    def get(self, name: str) -> str:
        """An attribute without blanks around it, "" for none."""
        return self.attributes.get(name, "").strip()


def parse(raw: bytes) -> Element:
    """The root element; InputError with the line as `where`."""
    if len(raw) > _MOST:
        raise InputError(f"{len(raw)} bytes are too many for a description", "give a smaller file")
    reader = _Reader()
    try:
        reader.parser.Parse(raw, True)
    except expat.ExpatError as error:
        raise InputError(
            f"this is not XML: {expat.ErrorString(error.code)}", "", str(error.lineno)
        ) from None
    except (ValueError, LookupError) as error:  # an encoding that nobody knows
        raise InputError(f"this is not XML: {error}", "save it as UTF-8", "1") from None
    return reader.top.children[0]


class _Reader:
    def __init__(self) -> None:
        self.top = Element("", 0)
        self._open = [self.top]
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._refuse

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > _DEEPEST:
            raise InputError(
                "elements stand too deep in each other", "", str(self.parser.CurrentLineNumber)
            )
        element = Element(name, self.parser.CurrentLineNumber, attributes)
        self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, _: str) -> None:
        self._open.pop()

    def _refuse(self, *_: object) -> None:
        raise InputError(
            "a document type is not taken",
            "remove <!DOCTYPE …>",
            str(self.parser.CurrentLineNumber),
        )
