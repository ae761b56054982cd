"""`ironwake image capture`: a machine's disk, or its root, becomes an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ironwake.errors import InputError
from ironwake_cli import image as images
from ironwake_cli import watch as watching
from ironwake_cli.media import drawing
from ironwake_cli.output import JSON, as_json, say
from ironwake_cli.session import Session, of

if TYPE_CHECKING:
    from ironwake_imager.library.bring import Wish


def capture(
    context: typer.Context,
    target: str = typer.Argument(
        ..., metavar="MAC|NAME", help="a network card, or a machine", show_default=False
    ),
    name: str = typer.Option(
        "", "--name", help="NAME, which gets the next number, or NAME@WORD", show_default=False
    ),
    disk: str = typer.Option(
        "auto", "--disk", help="serial number, path below /dev/disk, or as in: smallest nvme"
    ),
    root: str = typer.Option(
        "", "--root", help="a root's files instead: auto, UUID=…, LABEL=…, PARTUUID=…"
    ),
    finish: str = typer.Option("", "--finish", help="reboot, poweroff or shell; default: reboot"),
    power: bool = typer.Option(True, "--wake/--no-wake", help="switch it on by its power driver"),
    cycle: bool = typer.Option(False, "--cycle", help="restart it if it is on"),
    wait: bool = typer.Option(True, "--wait/--no-wait", help="until the image is there"),
    take: bool = typer.Option(
        False, "--take", help="only make the image of what the machine has sent already"
    ),
    bare: bool = typer.Option(False, "--bare", help="a disk without a partition table is meant"),
    json: bool = JSON,
) -> None:
    """Make an image of a machine: its disk, or with --root its files. Nothing on it is written.

    Shut it down in order before: what stands in its memory alone is in no image.

    Example:

        ironwake image capture node1 --name web
        ironwake image capture node1 --name web-root --root auto
    """
    from ironwake.image import Reference
    from ironwake_cli.api import segment

    session = of(context)
    if take:
        _take(session, _machine(session, target), bare, json)
        return
    if not name:
        raise InputError("the image needs a name", "give --name, or --take", "--name")
    Reference(name)
    body: dict[str, object] = {
        "method": "capture",
        "capture": {"name": name, "disk": disk, "root": root},
        "wake": power,
    }
    body |= {"finish": finish} if finish else {}
    body |= {"cycle": True} if cycle else {}
    made = session.api.post(f"machines/{segment(target)}/deploy", body)
    if not wait:
        if json:
            as_json(made)
            return
        say(f"{made['machine']} is {made['state']}: deployment {made['id']}")
        say(f"once it has succeeded: ironwake image capture {made['machine']} --take")
        return
    watching.follow(session, made, quiet=json)
    _take(session, made["id"], bare, json)


def _machine(session: Session, target: str) -> str:
    """A card as its machine's name; whatever else as it is: the appliance may be off."""
    from ironwake.mac import Mac
    from ironwake_cli.api import segment

    try:
        card = Mac(target)
    except InputError:
        return target
    return str(session.api.get(f"machines/{segment(card)}")["name"])


def _take(session: Session, which: str, bare: bool, json: bool) -> None:
    from ironwake_imager.library import captured

    one = captured.find(session.settings.captures, which)
    with drawing() as progress:
        importer = images.importer(session, progress)
        manifest = captured.take(importer, one, _wish(session, bare))
    images.told(session, manifest, json)


def _wish(session: Session, bare: bool) -> Wish:
    from ironwake_imager.library import disk
    from ironwake_imager.library.bring import Wish
    from ironwake_imager.roots import source

    largest, limits = images.largest(session), images.limits(session)
    of_disk = disk.Wishes(disk.Format.RAW, bare, largest=largest)
    return Wish("", "", disk=of_disk, root=source.Wishes(limits=limits))
