"""`ironwake machine …` and its short cut `enroll`: which machines there are."""

from __future__ import annotations

from typing import Any

import typer

from ironwake.errors import InputError
from ironwake_cli.output import JSON, as_json, facts, say, table
from ironwake_cli.session import of

NAME = typer.Argument(..., help="the machine's name", show_default=False)


def enroll(
    context: typer.Context,
    name: str = typer.Argument(..., help="its name: one DNS label", show_default=False),
    mac: list[str] = typer.Option(
        ..., "--mac", help="MAC address of a network card; the first one wakes it; repeatable"
    ),
    uuid: str = typer.Option("", "--uuid", help="SMBIOS UUID, as dmidecode prints it"),
    serial: str = typer.Option("", "--serial", help="serial number"),
    label: list[str] = typer.Option([], "--label", help="key=value; repeatable"),
    json: bool = JSON,
) -> None:
    """Enrol a machine: from now on it may be deployed. The same again changes nothing.

    Example:

        ironwake enroll node1 --mac 52:54:00:77:00:10 --label rack=a3
    """
    from ironwake.mac import Mac
    from ironwake.machine import Machine
    from ironwake.names import HostName

    # Checked here first, so that a mistype is told without a controller, too.
    machine = Machine(
        HostName(name), tuple(Mac(one) for one in mac), uuid, serial, labels=_labels(label)
    )
    body = {"name": machine.name, "macs": list(machine.macs)}
    # What is not named is not compared with the machine that is there already.
    optional = {"uuid": machine.uuid, "serial": machine.serial, "labels": machine.labels}
    made = of(context).api.post("machines", body | {k: v for k, v in optional.items() if v})
    if json:
        as_json(made)
    else:
        say(f"{name} is enrolled; deploy it with: ironwake deploy {name} --profile PROFILE")


def _labels(words: list[str]) -> dict[str, str]:
    labels = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise InputError(f"{word!r} is not a label", "write it as key=value", "--label")
        labels[key] = value
    return labels


def listing(context: typer.Context, json: bool = JSON) -> None:
    """List all machines.

    Example:

        ironwake machine list
    """
    machines = list(of(context).api.listing("machines"))
    if json:
        as_json(machines)
        return
    heads = ("NAME", "STATE", "MAC", "ADDRESS", "LOCKED", "LABELS")
    keys = ("name", "state", "macs", "address", "locked", "labels")
    for line in table(heads, [[machine[key] for key in keys] for machine in machines]):
        say(line)


def show(context: typer.Context, name: str = NAME, json: bool = JSON) -> None:
    """Show one machine.

    Example:

        ironwake machine show node1
    """
    machine = _get(context, name)
    if json:
        as_json(machine)
        return
    deployment = machine["deployment"]
    shown = {**machine, "deployment": deployment and deployment["id"]}
    for line in facts(shown.items()):
        say(line)


def _get(context: typer.Context, name: str) -> dict[str, Any]:
    from ironwake_cli.api import segment

    machine: dict[str, Any] = of(context).api.get(f"machines/{segment(name)}")
    return machine


def remove(context: typer.Context, name: str = NAME) -> None:
    """Remove a machine; nothing is offered to it any more.

    Example:

        ironwake machine rm node1
    """
    from ironwake_cli.api import segment

    of(context).api.delete(f"machines/{segment(name)}")
    say(f"{name} is removed")


def lock(context: typer.Context, name: str = NAME, json: bool = JSON) -> None:
    """Lock a machine: it is offered nothing, and cannot be deployed.

    Example:

        ironwake machine lock node1
    """
    done = f"{name} is locked; unlock it with: ironwake machine unlock {name}"
    _act(context, name, "lock", done, json)


def unlock(context: typer.Context, name: str = NAME, json: bool = JSON) -> None:
    """Unlock a machine.

    Example:

        ironwake machine unlock node1
    """
    _act(context, name, "unlock", f"{name} is unlocked", json)


def wake(context: typer.Context, name: str = NAME) -> None:
    """Send Wake-on-LAN packets to a machine; what it boots is decided by its deployment.

    Example:

        ironwake wake node1
    """
    _act(context, name, "wake", f"woke {name}: the magic packet is sent, which nobody answers")


def _act(context: typer.Context, name: str, deed: str, done: str, json: bool = False) -> None:
    from ironwake_cli.api import segment

    of(context).api.post(f"machines/{segment(name)}/{deed}")
    if json:
        as_json(_get(context, name))
    else:
        say(done)
