"""Words of SystemImager's disks-layout.xml: sizes, names, numbers, and what is wrong with them."""

from __future__ import annotations

import math
import re

from ironwake.errors import InputError
from ironwake.sizes import MIB
from ironwake.xmltree import Element

_UNITS = {
    **{unit: unit for unit in ("TB", "TiB", "GB", "GiB", "MB", "MiB", "KiB")},
    "kB": "KB",
    "percent": "%",
    "percentage": "%",
    "%": "%",
}
_COUNTED = {"B": 1, "s": 512}  # bytes
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}", re.ASCII)
_VOLUME_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGTkmgt])(?:i?B)?", re.ASCII)


def need(element: Element, key: str) -> str:
    """An attribute that must be there."""
    value = element.get(key)
    if not value:
        raise InputError(f"<{element.name}> has no {key}", f"add {key}", str(element.line))
    return value


def refused(where: Element, what: str, step: str) -> InputError:
    """To be raised for what no layout of ours can say."""
    return InputError(f"{what} has no counterpart here", step, str(where.line))


def number(part: Element) -> int:
    """A partition's."""
    need(part, "num")
    if not digits(part, "num"):
        raise InputError(f"{part.get('num')!r:.40} is no number", "count from 1", str(part.line))
    return int(part.get("num"))


def digits(element: Element, key: str) -> bool:
    """Whether an attribute is a number."""
    return element.get(key).isascii() and element.get(key).isdigit()


def size(part: Element, unit: str) -> str:
    """A partition's, as a layout has it."""
    text = need(part, "size")
    if text == "*":
        return "grow"
    try:
        count = float(text)
    except ValueError:
        count = -1.0
    if not 0 < count < 1e15 or unit not in {*_UNITS, *_COUNTED}:
        raise InputError(
            f"{text:.20} {unit:.20} is no size", "write a number, and a unit of the disk's",
            str(part.line),
        )  # fmt: skip
    if unit in _COUNTED:
        return f"{max(1, math.ceil(count * _COUNTED[unit] / MIB))}MiB"
    return f"{count:.6f}".rstrip("0").rstrip(".") + _UNITS[unit]


def volume_size(volume: Element) -> str:
    """A logical volume's: lvcreate's notation."""
    size = need(volume, "size")
    if size == "*" or size.upper() == "100%FREE":
        return "grow"
    if match := _VOLUME_SIZE.fullmatch(size):
        return f"{match[1]}{match[2].upper()}iB"
    if match := re.fullmatch(r"(\d{1,3})%(?:VG)?", size, re.ASCII):
        return f"{match[1]}%"
    raise InputError(
        f"{size!r:.40} is no size of a volume", "write it as in 500M, 20G, 25%VG or *",
        str(volume.line),
    )  # fmt: skip


def name(text: str) -> str:
    """As near to it as a name of ours can be; "" for nothing."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", text).lstrip("0123456789_-")[:31]
    return plain if _NAME.fullmatch(plain) else ""


def free(name: str, taken: set[str]) -> str:
    """The name, or with a number behind it where it is taken."""
    found, count = name, 1
    while found in taken:
        count += 1
        found = f"{name[:28]}-{count}"
    taken.add(found)
    return found
