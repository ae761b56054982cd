"""The entry that GRUB would boot, read from its configuration. Pure: a text goes in.

Of GRUB's language this knows what menus are made of (ours, and update-grub's): `menuentry`,
`submenu`, `set default`, `linux`, `initrd`. What it cannot be sure of it refuses; the machine then
restarts, and GRUB reads its menu itself.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ironwake.errors import RefusedError

_LINUX = ("linux", "linux16", "linuxefi")
_INITRD = ("initrd", "initrd16", "initrdefi")
_DEVICE = re.compile(r"\([^)]*\)")
_VARIABLE = re.compile(r"\$(?:\w+|\{\w+\})", re.ASCII)
_ID = re.compile(r"(?:--id[= ]|\$menuentry_id_option )(\S+)")


@dataclass(frozen=True)
class Entry:
    """`kernel` and `initrd` are paths as GRUB sees them (`initrd` may be ""); `words` follow."""

    kernel: str
    initrd: str
    words: tuple[str, ...]


@dataclass
class _Item:
    """An entry of the menu, or one of its submenus."""

    names: tuple[str, ...]
    is_entry: bool
    lines: list[list[str]] = field(default_factory=list)


def default(text: str) -> Entry:
    """What boots where nobody presses a key; RefusedError where that cannot be told."""
    lines = list(_lines(text))
    items = list(_items(lines))
    wanted = _wanted(lines)
    found = next((item for n, item in enumerate(items) if wanted in (str(n), *item.names)), None)
    if found is None or not found.is_entry:
        raise _unclear(f"its entry {wanted!r:.60} is not one of the menu's first level")
    return _entry(found.lines)


def _lines(text: str) -> Iterator[list[str]]:
    for line in text.replace("\\\n", " ").splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # a quotation that goes on in the next line: none of what we look for
            continue
        if words:
            yield words


def _items(lines: Iterable[list[str]]) -> Iterator[_Item]:
    """The menu's first level."""
    depth = 0
    item: _Item | None = None
    for words in lines:
        opens, closes = words[-1] == "{", words[0] == "}"
        if depth == 0 and opens and words[0] in ("menuentry", "submenu") and len(words) > 2:
            told = _ID.search(" ".join(words))
            item = _Item((words[1], told[1]) if told else (words[1],), words[0] == "menuentry")
        elif item and depth == 1 and not closes:
            item.lines.append(words)
        depth = max(0, depth + opens - closes)
        if item and depth == 0:
            yield item
            item = None


def _wanted(lines: Iterable[list[str]]) -> str:
    """The number, title or id of the default entry: what was saved by GRUB itself is not read."""
    told = "0"
    for words in lines:
        if words[0] == "set" and len(words) == 2 and words[1].startswith("default="):
            value = words[1].removeprefix("default=")
            told = value if value and "$" not in value else told
    return told


def _entry(lines: Iterable[list[str]]) -> Entry:
    kernels = [words[1:] for words in lines if words[0] in _LINUX]
    initrds = [words[1:] for words in lines if words[0] in _INITRD]
    if len(kernels) != 1 or not kernels[0]:
        raise _unclear(f"its entry starts {len(kernels)} kernels")
    if len(initrds) > 1 or any(len(words) != 1 for words in initrds):
        raise _unclear("its entry has more than one ramdisk")
    kernel, *words = kernels[0]
    # Of variables that stand alone none is needed to boot: consoles, splashes, vendors' extras.
    kept = tuple(word for word in words if not _VARIABLE.fullmatch(word))
    if any("$" in word for word in kept):
        raise _unclear("its command line has variables")
    return Entry(_path(kernel), _path(initrds[0][0]) if initrds else "", kept)


def _path(text: str) -> str:
    path = _DEVICE.sub("", text, count=1)
    if not path.startswith("/") or "$" in path or ".." in path.split("/"):
        raise _unclear(f"{text!r:.80} is no path")
    return path


def _unclear(why: str) -> RefusedError:
    return RefusedError(f"GRUB's menu does not say what it boots: {why}")
