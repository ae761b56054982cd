"""Lists of packages, as systems keep them and as the library keeps them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_LINE = re.compile(r"[^\s\x00-\x1f]{1,200} [^\s\x00-\x1f]{1,200}")
_ID = re.compile(r"""^ID=["']?([a-z0-9._-]{1,32})["']?$""", re.MULTILINE)

Packages = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Difference:
    """What is other in the second of two lists: (name, version), and (name, before, after)."""

    added: Packages = ()
    removed: Packages = ()
    changed: tuple[tuple[str, str, str], ...] = ()


def dpkg(status: str) -> Packages:
    """(name, version) of what is installed, of /var/lib/dpkg/status; sorted."""
    found = set()
    for paragraph in status.split("\n\n"):
        fields = dict(_field(line) for line in paragraph.splitlines() if not line.startswith(" "))
        if fields.get("Status", "").endswith(" installed"):
            found.add((fields.get("Package", ""), fields.get("Version", "")))
    return parse("\n".join(f"{name} {version}" for name, version in found))


def family(os_release: str) -> str:
    """The ID of /usr/lib/os-release: `debian`; "" where there is none."""
    match = _ID.search(os_release)
    return match[1] if match else ""


def text(packages: Iterable[tuple[str, str]]) -> str:
    """As the library keeps them: one `name version` in a line, sorted."""
    return "".join(f"{name} {version}\n" for name, version in sorted(packages))


def parse(kept: str) -> Packages:
    """What `text` gave; lines that are no package are left out."""
    rows = (line.split(" ") for line in kept.splitlines() if _LINE.fullmatch(line))
    return tuple(sorted((name, version) for name, version in rows))


def difference(before: Packages, after: Packages) -> Difference:
    """What happened from the first to the second. Of one name there may be several versions."""
    gone, come = set(before) - set(after), set(after) - set(before)
    was: dict[str, list[str]] = {}
    for name, version in sorted(gone):
        was.setdefault(name, []).append(version)
    changed, added = [], []
    for name, version in sorted(come):
        if was.get(name):
            changed.append((name, was[name].pop(0), version))
        else:
            added.append((name, version))
    removed = tuple((name, version) for name, left in was.items() for version in left)
    return Difference(tuple(added), removed, tuple(changed))


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip()
