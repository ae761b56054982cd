"""`ironwake lease …`: who has which address of our DHCP server, and who shall keep his."""

from __future__ import annotations

from typing import Any

import typer

from ironwake_cli.output import JSON, as_json, note, say, table
from ironwake_cli.session import of


def listing(
    context: typer.Context,
    subnet: str = typer.Option("", "--subnet", help="only of this network: 192.0.2.0/24"),
    mac: str = typer.Option("", "--mac", help="only of this card"),
    machine: str = typer.Option("", "--machine", help="only of this machine"),
    json: bool = JSON,
) -> None:
    """List all leases, also those that ran out.

    Example:

        ironwake lease list --subnet 10.77.0.0/24
    """
    given = {"subnet": subnet, "mac": mac, "machine": machine}
    query = {key: value for key, value in given.items() if value}
    leases = list(of(context).api.listing("leases", **query))
    if json:
        as_json(leases)
        return
    heads = ("ADDRESS", "MAC", "MACHINE", "HOSTNAME", "STATE", "RESERVED", "EXPIRES")
    rows = [[lease[head.lower()] for head in heads] for lease in leases]
    for line in table(heads, rows):
        say(line)


def reserve(
    context: typer.Context,
    names: list[str] = typer.Argument(None, metavar="[NAME]...", help="the machines"),
    everyone: bool = typer.Option(False, "--all", help="every machine that had a lease"),
    first: str = typer.Option("", "--first", help="number them anew, from this address on"),
    yes: bool = typer.Option(False, "--yes", help="write it; without, only show it"),
    json: bool = JSON,
) -> None:
    """Make reservations of leases, in the order in which the machines came up.

    Example:

        ironwake lease reserve --all --first 10.77.0.10
    """
    wish = {"machines": list(names or []), "all": everyone, "first": first, "write": yes}
    answer: dict[str, Any] = of(context).api.post("leases/reserve", wish)
    if json:
        as_json(answer)
        return
    changes = answer["items"]
    if not changes:
        say("nothing changes: what would be reserved is")
        return
    heads = ("MACHINE", "MAC", "BEFORE", "ADDRESS")
    for line in table(heads, [[one[head.lower()] for head in heads] for one in changes]):
        say(line)
    if answer["written"]:
        note("written; each machine gets its address when it boots the next time")
    else:
        note("nothing is written yet; the same with --yes writes it")
