"""`ironwake deploy`, `cancel` and `ironwake deployment …`: one intent, consumed once."""

from __future__ import annotations

import typer

from ironwake_cli import watch as watching
from ironwake_cli.output import JSON, as_json, facts, say, table
from ironwake_cli.session import of

TARGET = typer.Argument(
    ..., metavar="NAME|DEPLOYMENT", help="a machine, for its latest one, or a deployment's id"
)


def deploy(
    context: typer.Context,
    name: str = typer.Argument(..., help="the machine's name", show_default=False),
    profile: str = typer.Option(..., "--profile", help="what it shall become"),
    erase: list[str] = typer.Option(
        [], "--erase", help="disk (serial number or path) that may lose its contents; repeatable"
    ),
    wake: bool = typer.Option(True, "--wake/--no-wake", help="switch it on by its power driver"),
    cycle: bool = typer.Option(False, "--cycle", help="restart it if it is on"),
    watch: bool = typer.Option(False, "--watch", help="follow it until it ends"),
    json: bool = JSON,
) -> None:
    """Deploy a machine once: arm it, wake it, and let it become what the profile says.

    A disk that is not blank is touched only if --erase names it.

    Example:

        ironwake deploy node1 --profile debian-12 --watch
    """
    from ironwake_cli.api import segment

    session = of(context)
    body = {"profile": profile, "erase": erase, "wake": wake}
    if cycle:
        body["cycle"] = True
    made = session.api.post(f"machines/{segment(name)}/deploy", body)
    if json:
        as_json(made)
    elif not watch:
        say(f"{name} is {made['state']} for {profile}: deployment {made['id']}")
        say(f"follow it with: ironwake watch {name}")
    if watch:
        watching.follow(session, made, json=json)


def cancel(context: typer.Context, target: str = TARGET, json: bool = JSON) -> None:
    """Cancel a deployment: the machine is offered nothing any more.

    Example:

        ironwake cancel node1
    """
    from ironwake_cli.api import segment
    from ironwake_cli.target import find

    session = of(context)
    found = find(session, target)
    done = session.api.post(f"deployments/{segment(found['id'])}/cancel")
    if json:
        as_json(done)
    else:
        say(f"deployment {found['id']} of {found['machine']} is cancelled")


def listing(
    context: typer.Context,
    machine: str = typer.Option("", "--machine", help="of this machine only"),
    json: bool = JSON,
) -> None:
    """List deployments, the newest first.

    Example:

        ironwake deployment list --machine node1
    """
    query = {"machine": machine} if machine else {}
    rows = list(of(context).api.listing("deployments", **query))
    if json:
        as_json(rows)
        return
    heads = ("DEPLOYMENT", "MACHINE", "PROFILE", "STATE", "CREATED")
    keys = ("id", "machine", "profile", "state", "created")
    for line in table(heads, [[row[key] for key in keys] for row in rows]):
        say(line)


def show(context: typer.Context, target: str = TARGET, json: bool = JSON) -> None:
    """Show one deployment.

    Example:

        ironwake deployment show node1
    """
    from ironwake_cli.target import find

    found = find(of(context), target)
    if json:
        as_json(found)
        return
    for line in facts(found.items()):
        say(line)
