"""`ironwake plan --disks`: what a layout means on a machine's disks, before anything is written."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from ironwake.sizes import size_text
from ironwake_cli.output import table


def lines(found: dict[str, Any]) -> Iterator[str]:
    """For people: the partitions of each disk before and after, the commands, the files."""
    yield f"{found['machine']} by profile {found['profile']}"
    for disk in found["disks"]:
        stays = ", whose partition table stays" if disk["stays"] else ""
        yield from ("", f"--- {disk['name']}: {disk['disk']}{stays}")
        yield from _partitions("before", disk["before"])
        yield from _partitions("after", disk["after"])
    yield from ("", "--- commands")
    for command in found["commands"]:
        key = f"  < the key of {command['key']}" if command["key"] else ""
        yield shlex.join(command["words"]) + key
        yield from (f"    {line}" for line in command["stdin"].splitlines())
    for name, text in found["files"].items():
        yield from ("", f"--- /{name}", text.rstrip("\n"))


def _partitions(when: str, parts: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not parts:
        yield f"{when}: no partitions"
        return
    rows = (
        (
            part["number"],
            part["name"],
            size_text(part["start"]),
            size_text(part["size"]),
            part["content"],
        )
        for part in parts
    )
    yield from table((when, "name", "from", "size", "content"), rows)
