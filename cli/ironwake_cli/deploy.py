"""`ironwake deploy`, `cancel` and `ironwake deployment …`: one intent, consumed once."""

from __future__ import annotations

from pathlib import Path

import typer

from ironwake.errors import InputError
from ironwake_cli import watch as watching
from ironwake_cli.output import JSON, as_json, facts, say, table
from ironwake_cli.session import Session, of

TARGET = typer.Argument(
    ..., metavar="NAME|DEPLOYMENT", help="a machine, for its latest one, or a deployment's id"
)


def deploy(
    context: typer.Context,
    name: str = typer.Argument(..., help="the machine's name", show_default=False),
    profile: str = typer.Option("", "--profile", help="what it shall become"),
    wipe_only: bool = typer.Option(
        False, "--wipe-only", help="no profile: empty the disks that --erase names, and no others"
    ),
    rescue: bool = typer.Option(
        False, "--rescue", help="no profile: write nothing, and let you in by SSH"
    ),
    erase: list[str] = typer.Option(
        [], "--erase", help="disk (serial number or path) that may lose its contents; repeatable"
    ),
    finish: str = typer.Option(
        "", "--finish", help="reboot, kexec, poweroff or shell; default: the profile's"
    ),
    wake: bool = typer.Option(True, "--wake/--no-wake", help="switch it on by its power driver"),
    cycle: bool = typer.Option(False, "--cycle", help="restart it if it is on"),
    keys: Path | None = typer.Option(
        None, "--passphrase-file", help="its first line opens the encrypted volumes of the layout"
    ),
    watch: bool = typer.Option(False, "--watch", help="follow it until it ends"),
    json: bool = JSON,
) -> None:
    """Deploy a machine once: arm it, wake it, and let it become what the profile says.

    A disk that is not blank is touched only if --erase names it.

    Example:

        ironwake deploy node1 --profile debian-12 --watch
        ironwake deploy node1 --wipe-only --erase WD-1234
    """
    from ironwake_cli.api import segment

    session = of(context)
    body: dict[str, object] = {"erase": erase, "wake": wake}
    body |= _what(profile, wipe_only, rescue)
    if finish:
        body["finish"] = finish
    if keys is not None:
        body["keys"] = {"": _first_line(keys)}
    if cycle:
        body["cycle"] = True
    made = session.api.post(f"machines/{segment(name)}/deploy", body)
    if json:
        as_json(made)
    elif not watch:
        say(f"{name} is {made['state']} for {made['profile']}: deployment {made['id']}")
        say(f"follow it with: ironwake watch {name}")
    if watch:
        watching.follow(session, made, json=json)


def _what(profile: str, wipe_only: bool, rescue: bool) -> dict[str, object]:
    """A profile, or one of the methods that need none."""
    chosen = [
        {key: value}
        for key, value, wanted in (
            ("profile", profile, bool(profile)),
            ("method", "wipe", wipe_only),
            ("method", "rescue", rescue),
        )
        if wanted
    ]
    if len(chosen) != 1:
        raise InputError(
            f"{len(chosen)} things are asked for", "give --profile, --wipe-only or --rescue"
        )
    return dict(chosen[0])


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"{path} cannot be read: {error}", "name a text file", "--passphrase-file"
        ) from None


def keys(context: typer.Context, target: str = TARGET, json: bool = JSON) -> None:
    """Show what opens the encrypted volumes of a deployment; its history tells that you asked.

    Example:

        ironwake deployment keys node1
    """
    from ironwake_cli.api import segment
    from ironwake_cli.target import find

    session = of(context)
    found = find(session, target)
    shown = session.api.get(f"deployments/{segment(found['id'])}/keys")
    if json:
        as_json(shown)
    elif not shown["keys"]:
        say(f"deployment {found['id']} of {found['machine']} has no encrypted volumes")
    for name, passphrase in () if json else shown["keys"].items():
        say(f"{name}  {passphrase}")


def cancel(context: typer.Context, target: str = TARGET, json: bool = JSON) -> None:
    """Cancel a deployment: the machine is offered nothing any more.

    Example:

        ironwake cancel node1
    """
    _over(of(context), target, "cancel", "is cancelled", json)


def end(context: typer.Context, target: str = TARGET, json: bool = JSON) -> None:
    """End the work on a rescue system: its machine restarts.

    Example:

        ironwake deployment end node1
    """
    _over(of(context), target, "end", "has ended", json)


def _over(session: Session, target: str, how: str, words: str, json: bool) -> None:
    """Post that, and say what became of the deployment."""
    from ironwake_cli.api import segment
    from ironwake_cli.target import find

    found = find(session, target)
    done = session.api.post(f"deployments/{segment(found['id'])}/{how}")
    if json:
        as_json(done)
    else:
        say(f"deployment {found['id']} of {found['machine']} {words}")


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
