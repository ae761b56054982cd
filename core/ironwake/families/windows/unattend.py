"""Windows' answer files: data in, XML out, and back.

Data are dicts of elements, text at their ends. A list is one element again and again, a tuple the
same with its members numbered (`wcm:keyValue`): both are marked as additions, as the schema of
unattend.xml wants it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias
from xml.etree import ElementTree

from ironwake.errors import InputError
from ironwake.firmware import Architecture

NAMESPACE: Final = "urn:schemas-microsoft-com:unattend"
STATE: Final = "http://schemas.microsoft.com/WMIConfig/2002/State"  # of the attributes wcm:…
PASSES: Final = ("windowsPE", "specialize", "oobeSystem")
_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
_ADD = "wcm:action"
_KEY = "wcm:keyValue"

Node: TypeAlias = "str | Mapping[str, Node] | list[Node] | tuple[Node, ...]"
Components: TypeAlias = Mapping[str, Node]  # by name, without the vendor's `Microsoft-Windows-`


def text(passes: Mapping[str, Components], architecture: Architecture) -> str:
    """The whole file, in ASCII: what reads it on the way need not know its encoding."""
    root = ElementTree.Element("unattend", {"xmlns": NAMESPACE, "xmlns:wcm": STATE})
    for name, components in passes.items():
        settings = ElementTree.SubElement(root, "settings", {"pass": name})
        for component, content in components.items():
            words = {
                "name": f"Microsoft-Windows-{component}",
                "processorArchitecture": architecture.value,
                "publicKeyToken": "31bf3856ad364e35",
                "language": "neutral",
                "versionScope": "nonSxS",
            }
            _fill(ElementTree.SubElement(settings, "component", words), content)
    ElementTree.indent(root, " ")
    raw: bytes = ElementTree.tostring(root, encoding="us-ascii", xml_declaration=False)
    return _HEAD + raw.decode("ascii")


def _fill(element: ElementTree.Element, content: Node) -> None:
    if isinstance(content, str):
        element.text = content
        return
    assert isinstance(content, Mapping)  # noqa: S101 (a list stands below a name)
    for name, child in content.items():
        if not isinstance(child, list | tuple):
            _fill(ElementTree.SubElement(element, name), child)
            continue
        for number, item in enumerate(child, 1):
            marks = {_ADD: "add"}
            if isinstance(child, tuple):
                marks[_KEY] = str(number)
            _fill(ElementTree.SubElement(element, name, marks), item)


def parse(raw: str) -> dict[str, dict[str, Any]]:
    """The passes as `text` has them, read with their namespaces; InputError for whatever else.

    What is one element and no addition is a dict or text, additions are lists or tuples.
    """
    if "<!" in raw:
        raise InputError("a document type or a comment is not taken", "remove <!…>")
    try:
        root = ElementTree.fromstring(raw)  # noqa: S314 (no document type, so no entities)
    except ElementTree.ParseError as error:
        raise InputError(
            f"this is not XML: {error}", "correct it", str(error.position[0])
        ) from None
    if root.tag != f"{{{NAMESPACE}}}unattend":
        raise InputError(f"this is {root.tag!r:.80}", f"begin with unattend, of {NAMESPACE}")
    found: dict[str, dict[str, Any]] = {}
    for settings in root:
        components = found.setdefault(settings.get("pass", ""), {})
        for component in settings:
            name = component.get("name", "").removeprefix("Microsoft-Windows-")
            components[name] = _read(component)
    return found


def _read(element: ElementTree.Element) -> Any:
    if not len(element):
        return element.text or ""
    found: dict[str, Any] = {}
    for child in element:
        space, _, name = child.tag.rpartition("}")
        if space != "{" + NAMESPACE:
            raise InputError(f"{child.tag!r:.80} is of another namespace", f"use {NAMESPACE}")
        if child.get(f"{{{STATE}}}action") != "add":
            found[name] = _read(child)
        elif child.get(f"{{{STATE}}}keyValue"):
            found[name] = (*found.get(name, ()), _read(child))
        else:
            found[name] = [*found.get(name, []), _read(child)]
    return found
