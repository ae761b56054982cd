"""`ironwake power …` and `ironwake wake`: switching machines, one or many, and by what."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

from ironwake.errors import BrokenError, InputError, IronwakeError, UnknownError
from ironwake_cli.output import JSON, as_json, facts, note, say
from ironwake_cli.session import Session, of

_SWITCH = ("on", "off", "cycle", "boot-network")
_VERBS = (*_SWITCH, "status", "show", "set", "clear")
_AT_ONCE = 4  # as many as the controller asks at once
_LARGEST = 1000  # characters of a password
LABEL = typer.Option([], "--label", help="all machines with this key=value; repeatable")

Document = dict[str, Any]


def wake(
    context: typer.Context,
    names: list[str] = typer.Argument(None, metavar="NAME...", help="machines"),
    label: list[str] = LABEL,
) -> None:
    """Send Wake-on-LAN packets to machines; what they boot is decided by their deployments.

    Example:

        ironwake wake node1
    """
    session = of(context)
    api = session.api

    def deed(name: str) -> Document:
        api.post(f"machines/{_segment(name)}/wake")
        return {"message": "the magic packet is sent, which nobody answers"}

    _each(_machines(session, names or [], label), deed, _woke)


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
    found = _machines(session, names, label)
    body = _body(driver, settings, given) if verb == "set" else {}
    results = _each(found, _deed(session, verb, body), None if json else _SHOW.get(verb, _told))
    if json:
        as_json(results)


def _machines(session: Session, names: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Those that are named, and those with all of these labels."""
    from ironwake.machine import labels_of

    found = list(dict.fromkeys(names))
    if labels:
        wanted = labels_of(list(labels), "--label").items()
        listed = [one for one in session.api.listing("machines") if wanted <= one["labels"].items()]
        if not listed:
            raise UnknownError(
                f"no machine has {' and '.join(labels)}", "see: ironwake machine list"
            )
        found += [one["name"] for one in listed if one["name"] not in found]
    if not found:
        raise InputError("no machine is named", "name one or more, or a --label")
    return found


def _deed(session: Session, verb: str, body: Document) -> Callable[[str], Document]:
    api = session.api

    def deed(name: str) -> Document:
        path = f"machines/{_segment(name)}/power"
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


def _each(
    names: Sequence[str],
    deed: Callable[[str], Document],
    show: Callable[[str, Document], None] | None,
) -> list[Document]:
    """Some at once, told in the order of their names as they were given.

    What fails for one of many is told, and stops none; the exit code is then that of the first.
    """
    from concurrent.futures import ThreadPoolExecutor

    results: list[Document] = []
    failed: list[IronwakeError] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for name, doing in [(name, pool.submit(deed, name)) for name in names]:
            try:
                results.append(doing.result())
            except IronwakeError as error:
                if len(names) == 1:
                    raise
                failed.append(error)
                results.append({"machine": name, "error": error.what, "next_step": error.next_step})
                note(f"ironwake: {name}: {error}")
            else:
                if show:
                    show(name, results[-1])
    if failed and not show:
        as_json(results)
    if failed:
        raise typer.Exit(failed[0].exit_code)
    return results


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


def _body(driver: str, file: Path | None, given: Document) -> Document:
    """What `set` sends: the file's settings, and over them what was named."""
    if not driver:
        raise InputError("no driver is named", "add --driver redfish, or another", "--driver")
    made: Document = read_settings(file) if file else {}
    for name, value in given.items():
        match name:
            case "ca":
                made[name] = _read_file(value)
            case "password" | "secureon":
                made[name] = _read_secret(value)
            case "verify" | "uefi":
                made[name] = False
            case _:
                made[name] = value
    return {"driver": driver, "settings": made}


def read_settings(file: Path) -> Document:
    """A driver's settings as people write them; InputError with the line that is wrong."""
    from ironwake_runtime import yamlfile

    raw = _read_file(file).encode()
    try:
        read: Document = yamlfile.parse(dict, raw, "address: 10.0.0.7")
    except InputError as error:
        raise yamlfile.placed(error, str(file)) from None
    return _named(read)  # type: ignore[no-any-return]


def _named(value: Any) -> Any:
    """With `on` and `off` as the names that they are: YAML 1.1 takes them for true and false."""
    if isinstance(value, dict):
        words = {True: "on", False: "off"}
        return {words.get(key, key): _named(inner) for key, inner in value.items()}
    return [_named(inner) for inner in value] if isinstance(value, list) else value


def _read_secret(file: Path) -> str:
    """The first line of the file, or of standard input, which a terminal asks for unseen."""
    if str(file) == "-" and sys.stdin.isatty():
        from getpass import getpass

        return getpass("password: ")
    text = sys.stdin.readline() if str(file) == "-" else _read_file(file)
    line = text.split("\n", 1)[0].rstrip("\r")
    if not line or len(line) > _LARGEST:
        raise InputError("there is no password in it", "put it on the first line", str(file))
    return line


def _read_file(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise BrokenError(f"it can't be read: {reason}", "see its name", str(file)) from None


def _segment(name: str) -> str:
    from ironwake_cli.api import segment

    return segment(name)
