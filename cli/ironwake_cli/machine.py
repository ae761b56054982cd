"""`ironwake machine …` and its short cut `enroll`: which machines there are."""

from __future__ import annotations

from typing import Any

import typer

from ironwake.errors import InputError
from ironwake.localboot import LoaderName, Rung
from ironwake.personality import Personality
from ironwake_cli.output import JSON, as_json, facts, say, table
from ironwake_cli.session import of

_LOADERS = ", ".join(LoaderName)
_RUNGS = ", ".join(Rung)
_SHAPES = ", ".join(Personality)
NAME = typer.Argument(..., help="the machine's name", show_default=False)


def enroll(
    context: typer.Context,
    name: str = typer.Argument(..., help="its name: one DNS label", show_default=False),
    mac: list[str] = typer.Option(
        ..., "--mac", help="MAC address of a network card; repeatable; all of them are woken"
    ),
    uuid: str = typer.Option("", "--uuid", help="SMBIOS UUID, as dmidecode prints it"),
    serial: str = typer.Option("", "--serial", help="serial number"),
    label: list[str] = typer.Option([], "--label", help="key=value; repeatable"),
    architecture: str = typer.Option("amd64", "--architecture", help="amd64 or arm64"),
    reserve: list[str] = typer.Option(
        [], "--reserve", help="MAC=ADDRESS: the card's fixed address from our DHCP server"
    ),
    json: bool = JSON,
) -> None:
    """Enrol a machine: from now on it may be deployed. The same again changes nothing.

    Example:

        ironwake enroll node1 --mac 52:54:00:77:00:10 --label rack=a3
    """
    from ironwake.mac import Mac
    from ironwake.machine import Machine, labels_of
    from ironwake.names import HostName

    # Checked here first, so that a mistype is told without a controller, too.
    machine = Machine(
        HostName(name),
        tuple(Mac(one) for one in mac),
        uuid,
        serial,
        labels=labels_of(label, "--label"),
        reservations=_reservations(reserve),
    )
    body: dict[str, Any] = {"name": machine.name, "macs": list(machine.macs)}
    if architecture != "amd64":
        body["architecture"] = architecture
    # What is not named is not compared with the machine that is there already.
    optional = {
        "uuid": machine.uuid,
        "serial": machine.serial,
        "labels": machine.labels,
        "reservations": machine.reservations,
    }
    made = of(context).api.post("machines", body | {k: v for k, v in optional.items() if v})
    if json:
        as_json(made)
    else:
        say(f"{name} is enrolled; deploy it with: ironwake deploy {name} --profile PROFILE")


def change(
    context: typer.Context,
    name: str = NAME,
    label: list[str] = typer.Option([], "--label", help="key=value, added to those it has"),
    mac: list[str] = typer.Option([], "--mac", help="all its cards, in place of those it has"),
    uuid: str | None = typer.Option(None, "--uuid", help="SMBIOS UUID"),
    serial: str | None = typer.Option(None, "--serial", help="serial number"),
    architecture: str | None = typer.Option(None, "--architecture", help="amd64 or arm64"),
    loader: str | None = typer.Option(None, "--loader", help=f"{_LOADERS}; '' for the usual one"),
    local_boot: str | None = typer.Option(
        None, "--local-boot", help=f"{_RUNGS}; '' for what was learned"
    ),
    personality: list[str] = typer.Option(
        [], "--personality", help=f"only these offers, in this order: {_SHAPES}; '' for all"
    ),
    reserve: list[str] = typer.Option(
        [], "--reserve", help="MAC=ADDRESS: the card's fixed address from us; MAC= for none"
    ),
    json: bool = JSON,
) -> None:
    """Change a machine; what is not named stays.

    Example:

        ironwake machine set node1 --loader ipxe --local-boot sanboot
    """
    from ironwake.machine import labels_of
    from ironwake_cli.api import segment

    api = of(context).api
    path = f"machines/{segment(name)}"
    single = {
        "uuid": uuid,
        "serial": serial,
        "architecture": architecture,
        "loader": loader,
        "local_boot": local_boot,
    }
    body: dict[str, Any] = {key: value for key, value in single.items() if value is not None}
    if mac:
        body["macs"] = mac
    if personality:
        body["personalities"] = [one for one in personality if one]
    if label or reserve:
        there = api.get(path)
        body |= {"labels": there["labels"] | labels_of(label, "--label")} if label else {}
        fixed = there.get("reservations", {}) | _reservations(reserve)
        kept = {card: address for card, address in fixed.items() if address}
        body |= {"reservations": kept} if reserve else {}
    if not body:
        raise InputError("nothing is to be changed", "see what can be: ironwake machine set --help")
    machine = api.patch(path, body)
    if json:
        as_json(machine)
    else:
        say(f"{name} is changed; see: ironwake machine show {name}")


def _reservations(words: list[str]) -> dict[str, str]:
    from ironwake.mac import Mac

    found = {}
    for word in words:
        card, equals, address = word.partition("=")
        if not equals:
            raise InputError(f"{word!r} is no reservation", "write it as MAC=ADDRESS", "--reserve")
        found[str(Mac(card))] = address
    return found


def confirm(context: typer.Context, name: str = NAME, json: bool = JSON) -> None:
    """Take the UUID that a machine has shown last for its own: its board was changed.

    Until then nothing is offered to it, for it may be another machine with the same card.

    Example:

        ironwake machine confirm node1
    """
    from ironwake_cli.api import segment

    seen = _get(context, name)["learned"]["seen_uuid"]
    # By name, lest another one has come in between.
    of(context).api.post(f"machines/{segment(name)}/confirm", {"uuid": seen})
    if json:
        as_json(_get(context, name))
    else:
        say(f"{name} has the UUID {seen}: what was held back goes on")


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
    learned = shown.pop("learned", {})
    if learned.get("local_boot") == "silence" and not learned.get("proved"):
        learned.pop("local_boot")  # nothing was seen yet: it is where everyone begins
    shown |= {f"learned_{key}": value for key, value in learned.items() if value}
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


def _act(context: typer.Context, name: str, deed: str, done: str, json: bool = False) -> None:
    from ironwake_cli.api import segment

    of(context).api.post(f"machines/{segment(name)}/{deed}")
    if json:
        as_json(_get(context, name))
    else:
        say(done)
