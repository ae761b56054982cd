"""`ironwake firmware …`: what which firmware gets, and why.

`python -m ironwake_cli.firmware docs/firmware.md` renews that document's table, from the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from ironwake import loaders, localboot, personality
from ironwake.firmware import FIRMWARE, Firmware
from ironwake.mac import Mac
from ironwake.site import Site
from ironwake_cli import renewal
from ironwake_cli.output import JSON, as_json, say, table
from ironwake_cli.session import of

_SITE = Site("192.0.2.10", 24)
_MAC = Mac("52:54:00:77:00:10")


def rows() -> Iterator[dict[str, Any]]:
    """One for each firmware: how it is known, what it gets, and its ways to the disk."""
    for row in FIRMWARE:
        loader = loaders.for_firmware(row)
        yield {
            "firmware": row.name,
            "option_93": list(row.option_93),
            "vendor_class": row.vendor_class,
            "loader": loader.name if loader else None,
            "first_file": loader.first_file(row, _MAC, _SITE) if loader else None,
            "offered_as": [str(one) for one in personality.usual(row)] if loader else [],
            "ways_to_the_disk": [str(one) for one in _ladder(row)],
        }


def _ladder(row: Firmware) -> tuple[localboot.Rung, ...]:
    """All rungs that there can be: those for which Secure Boot must be off, too."""
    return localboot.ladder(row, "off")


def listing(json: bool = JSON) -> None:
    """List all firmware that is known, and what it gets while nothing else is said.

    Example:

        ironwake firmware list
    """
    found = list(rows())
    if json:
        as_json(found)
        return
    heads = ("FIRMWARE", "93", "LOADER", "FIRST FILE", "OFFERED AS", "WAYS TO THE DISK")
    keys = ("firmware", "option_93", "loader", "first_file", "offered_as", "ways_to_the_disk")
    for line in table(heads, [[row[key] for key in keys] for row in found]):
        say(line)


def export(context: typer.Context, json: bool = JSON) -> None:
    """Print what was learned here as quirks: rows of a file that others can use, too.

    Only what differs from the usual: offers that other firmware would not have needed, and ways to
    the disk other than silence, by the first three bytes of the card's address.

    Example:

        ironwake firmware export > quirks.yaml
    """
    import yaml

    found: dict[tuple[str, str], dict[str, Any]] = {}
    for machine in of(context).api.listing("machines"):
        for row in _learned(machine):
            known = found.setdefault((row["firmware"], row["oui"]), {})
            known |= {key: value for key, value in row.items() if key not in known}
    quirks = [row for _, row in sorted(found.items())]
    if json:
        as_json({"quirks": quirks})
    else:
        say(yaml.safe_dump({"quirks": quirks}, sort_keys=False).rstrip())


def _learned(machine: dict[str, Any]) -> Iterator[dict[str, Any]]:
    oui = machine["macs"][0][:8]
    learned = machine["learned"]
    usual = {row.name: str(personality.usual(row)[0]) for row in FIRMWARE}
    for name, shape in learned["personality"].items():
        if shape != usual.get(name):
            yield {"firmware": name, "oui": oui, "personalities": [shape]}
    if learned["proved"] and learned["local_boot"] != localboot.Rung.SILENCE:
        yield {"firmware": machine["firmware"], "oui": oui, "local_boot": learned["local_boot"]}


def document() -> str:
    """The table of docs/firmware.md."""
    heads = ("firmware", "options 93 and 60", "gets", "offered as", "ways to its disk")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows():
        codes = ", ".join(str(code) for code in row["option_93"])
        cells = (
            f"`{row['firmware']}`",
            f"{codes}, `{row['vendor_class']}`",
            f"{row['loader']}: `{row['first_file']}`" if row["loader"] else "nothing",
            ", ".join(f"`{one}`" for one in row["offered_as"]),
            ", ".join(f"`{one}`" for one in row["ways_to_the_disk"]),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    renewal.main(document)
