"""AutoYaST's XML: maps, lists, texts, numbers, yes and no, as data and back.

An element's kind stands in its attribute `config:type`; without one it is a text, or a map where it
has elements in it. Lists call their entries by names of their own (`_ENTRIES`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree

from ironwake import xmltree
from ironwake.errors import InputError

Data = str | int | bool | list["Data"] | dict[str, "Data"]

_SPACE = "http://www.suse.com/1.0/yast2ns"
_CONFIG = "http://www.suse.com/1.0/configns"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
# XML 1.0 §2.2; and no carriage return, which a reader makes a line feed of.
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ENTRIES = {
    "add_on_products": "listentry",
    "authorized_keys": "authorized_key",
    "chroot-scripts": "script",
    "device_order": "device",
    "enable": "service",
    "interfaces": "interface",
    "nameservers": "nameserver",
    "net-udev": "rule",
    "ntp_servers": "ntp_server",
    "packages": "package",
    "partitioning": "drive",
    "partitions": "partition",
    "patterns": "pattern",
    "postpartitioning-scripts": "script",
    "pre-scripts": "script",
    "products": "product",
    "routes": "route",
    "searchlist": "search",
    "subvolumes": "subvolume",
    "users": "user",
}


class Symbol(str):
    """A word of AutoYaST's own, as in `<filesystem config:type="symbol">ext4</filesystem>`."""

    __slots__ = ()


def dump(profile: Mapping[str, Data]) -> str:
    """The file; InputError, with the place in it as field, for a text that XML cannot have."""
    root = ElementTree.Element("profile", {"xmlns": _SPACE, "xmlns:config": _CONFIG})
    for name, value in profile.items():
        root.append(_element(name, value, name))
    ElementTree.indent(root, " ")
    text = _HEAD + ElementTree.tostring(root, encoding="unicode") + "\n"
    if parse(text) != profile:
        raise InputError("a value would be read as something else", "write it otherwise", "xml")
    return text


def parse(text: str) -> dict[str, Data]:
    """The data of a profile; InputError, with the line as `where`, for what is none."""
    xmltree.parse(text.encode(errors="replace"))  # no document type, nothing too large or too deep
    root = ElementTree.fromstring(text.encode())  # noqa: S314 (looked at just before)
    if root.tag != f"{{{_SPACE}}}profile":
        raise InputError(
            f"{root.tag!r:.80} is no profile of AutoYaST",
            f"begin with <profile xmlns={_SPACE!r} xmlns:config={_CONFIG!r}>",
            "1",
        )
    return {_name(child): _value(child) for child in root}


def fragment(text: str) -> dict[str, Data]:
    """Elements that stand beside each other in a profile."""
    whole = f"<profile xmlns='{_SPACE}' xmlns:config='{_CONFIG}'>{text}</profile>"
    if _NOT_XML.search(text):
        raise InputError("this is not XML: a control character", "remove it", "1")
    return parse(whole)


def _element(name: str, value: Data, where: str) -> ElementTree.Element:
    element = ElementTree.Element(name)
    if isinstance(value, bool):
        _type(element, "boolean").text = "true" if value else "false"
    elif isinstance(value, int):
        _type(element, "integer").text = str(value)
    elif isinstance(value, list):
        _type(element, "list")
        entry = _ENTRIES.get(name, "listentry")
        for number, one in enumerate(value):
            element.append(_element(entry, one, f"{where}[{number}]"))
    elif isinstance(value, dict):
        _type(element, "map")
        for key, one in value.items():
            element.append(_element(key, one, f"{where}.{key}"))
    else:
        if isinstance(value, Symbol):
            _type(element, "symbol")
        if found := _NOT_XML.search(value):
            raise InputError(f"{found[0]!a} cannot stand in XML", "leave this character out", where)
        element.text = str(value)
    return element


def _type(element: ElementTree.Element, kind: str) -> ElementTree.Element:
    element.set("config:type", kind)
    return element


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _value(element: ElementTree.Element) -> Data:
    kind = next(
        (element.get(one) for one in (f"{{{_CONFIG}}}type", "type", "t") if element.get(one)), ""
    )
    text = element.text or ""
    if kind == "list":
        return [_value(child) for child in element]
    if kind == "map" or (not kind and len(element)):
        return {_name(child): _value(child) for child in element}
    if kind == "boolean":
        return text.strip() == "true"
    if kind == "integer":
        try:
            return int(text)
        except ValueError:
            raise InputError(f"{text!r:.40} is no number", "correct it", _name(element)) from None
    return Symbol(text) if kind == "symbol" else text
