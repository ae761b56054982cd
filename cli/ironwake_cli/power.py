"""`ironwake power …` and `ironwake wake`: switching machines, one or many, and by what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

from ironwake.errors import InputError
from ironwake_cli import power_settings
from ironwake_cli.many import LABEL, Document, chosen, each
from ironwake_cli.output import JSON, as_json, facts, say
from ironwake_cli.session import Session, of

_SWITCH = ("on", "off", "cycle", "boot-network")
_VERBS = (*_SWITCH, "status", "show", "set", "clear")


def wake(
    context: typer.Context,
    names: list[str] = typer.Argument(None, metavar="NAME...", help="machines"),
    label: list[str] = LABEL,
) -> None:
    """Send Wake-on-LAN packets to machines; what they boot is decided by their deployments.

    Example:

        ironwake wake node1
    """
    from ironwake_cli.api import segment

    session = of(context)
    api = session.api

    def deed(name: str) -> Document:
        api.post(f"machines/{segment(name)}/wake")
        return {"message": "the magic packet is sent, which nobody answers"}

    each(chosen(session, names or [], label), deed, _woke)


def _woke(name: str, document: Document) -> None:
    say(f"woke {name}: {document['message']}")


def power(
    context: typer.Context,
    words: list[str] = typer.Argument(
        ...,
        metavar=f"[NAME...] {'|'.join(_VERBS)}",
        help="machines, and then what shall be done",
        show_default=False,
    ),
    label: list[str] = LABEL,
    driver: str = typer.Option("", "--driver", help="wol, redfish, ipmi, webhook or none"),
    address: str = typer.Option("", "--address", help="the BMC's: host, host:port or https://…"),
    user: str = typer.Option("", "--user", help="the BMC's user"),
    password_file: Path | None = typer.Option(
        None, "--password-file", help="file with the password, - for standard input"
    ),
    system: str = typer.Option("", "--system", help="redfish: which system, of several behind it"),
    boot: str = typer.Option("", "--boot", help="redfish: what boot-network asks for, pxe or http"),
    ca: Path | None = typer.Option(None, "--ca", help="PEM file: who signed its certificate"),
    insecure: bool = typer.Option(False, "--insecure", help="believe any certificate"),
    bios: bool = typer.Option(False, "--bios", help="ipmi: boot-network is for a BIOS, not UEFI"),
    target: list[str] = typer.Option(
        [], "--target", help="wol: address or host that packets also go to; repeatable"
    ),
    interface: str = typer.Option("", "--interface", help="wol: interface that packets leave by"),
    secureon_file: Path | None = typer.Option(
        None, "--secureon-file", help="wol: file with the SecureOn password, - for standard input"
    ),
    settings: Path | None = typer.Option(
        None, "--settings", help="file with all settings of the driver: webhook wants one"
    ),
    json: bool = JSON,
) -> None:
    """Switch machines on and off, ask them, or say by which driver that is done (`set`).

    Off is at once, as pulling the plug. A password is never given on the command line.

    Example:

        ironwake power node1 set --driver redfish --address 10.0.0.7 --user admin --password-file -
        ironwake power node1 node2 cycle
        ironwake power --label rack=a3 status
    """
    *names, verb = words
    if verb not in _VERBS:
        raise InputError(
            f"{verb!r:.60} is nothing that can be done", f"end with one of: {', '.join(_VERBS)}"
        )
    options: Document = {
        "address": address,
        "user": user,
        "system": system,
        "boot": boot,
        "targets": target,
        "interface": interface,
        "ca": ca,
        "verify": insecure,
        "uefi": bios,
        "password": password_file,
        "secureon": secureon_file,
    }
    given = {name: value for name, value in options.items() if value}
    if verb != "set" and (given or driver or settings):
        raise InputError(f"{verb} takes no settings", "give them with: ironwake power NAME set")
    session = of(context)
    found = chosen(session, names, label)
    body = power_settings.body(driver, settings, given) if verb == "set" else {}
    results = each(found, _deed(session, verb, body), None if json else _SHOW.get(verb, _told))
    if json:
        as_json(results)


def _deed(session: Session, verb: str, body: Document) -> Callable[[str], Document]:
    from ironwake_cli.api import segment

    api = session.api

    def deed(name: str) -> Document:
        path = f"machines/{segment(name)}/power"
        done: Document | None
        match verb:
            case "set":
                done = api.put(path, body)
            case "clear":
                api.delete(path)
                done = None
            case "show":
                done = api.get(path)
            case "status":
                done = api.get(f"{path}/status")
            case _:
                done = api.post(f"{path}/{verb}")
        return done or {"machine": name}

    return deed


def _told(name: str, document: Document) -> None:
    say(f"{name}: {document['message']}")


def _state(name: str, document: Document) -> None:
    say(f"{name}: {document['state']}")


def _settings(name: str, document: Document) -> None:
    own = {f"its {key}": value for key, value in document["settings"].items()}
    pairs = {"machine": name, "driver": document["driver"], "can": document["can"], **own}
    for line in facts(pairs.items()):
        say(line)


def _equipped(name: str, document: Document) -> None:
    able = ", ".join(document["can"]) or "nothing: a person switches it"
    say(f"{name} has the power driver {document['driver']}; it can: {able}")


def _cleared(name: str, _document: Document) -> None:
    say(f"{name} is woken by Wake-on-LAN again")


_SHOW = {"status": _state, "show": _settings, "set": _equipped, "clear": _cleared}
