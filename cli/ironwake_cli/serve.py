"""`ironwake serve`: every service as a child of one process."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ironwake.errors import BrokenError
from ironwake_cli.output import say
from ironwake_cli.session import Session, of

if TYPE_CHECKING:
    from ironwake_runtime.service import Log
    from ironwake_runtime.settings import Settings


_SERVICES = ("controller", "dhcp", "tftp", "dns", "http")


def serve(context: typer.Context) -> None:
    """Run the whole appliance: every service, restarted when it dies, stopped together.

    It is configured by IRONWAKE_… in the environment; docs/settings.md lists all of it. Ctrl-C or
    SIGTERM stops it.

    Example:

        IRONWAKE_INTERFACE=eth0 ironwake serve
    """
    from ironwake_runtime import packagecache, packagelock, service

    session = of(context)
    settings = session.settings  # a wrong one is said here, before anything is touched
    if packagecache.is_ours(settings):
        # What a killed predecessor's nginx has left still has the port.
        packagelock.end_leftovers(settings.packages_folder / packagelock.LOCK)
    check(session)
    prepare(settings_folders(session), settings.secrets)

    async def work(settings: Settings, log: service.Log) -> None:  # noqa: ARG001 (`service.main` calls it)
        await run(session, log)

    service.main("serve", work)


def settings_folders(session: Session) -> tuple[Path, ...]:
    """Folders that the services expect, parents first."""
    settings = session.settings
    return (settings.state_dir, settings.secrets, settings.profiles, settings.artifacts)


def prepare(folders: tuple[Path, ...], secret: Path) -> None:
    """Create what is missing, for this user alone; BrokenError where that is impossible.

    `secret` is closed to others even if it was there before.
    """
    for folder in folders:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder == secret:
                folder.chmod(0o700)
        except OSError as error:
            raise BrokenError(
                f"the folder {folder} cannot be made: {error.strerror}",
                "run this as root, or set IRONWAKE_STATE_DIR to a folder of your own",
            ) from error


def check(session: Session) -> None:
    """Raise the first thing that would keep a service from starting; say the others too."""
    from ironwake_cli import ports
    from ironwake_runtime import interfaces, packagecache, packageserver, subnets

    settings = session.settings
    if packagecache.is_wanted(settings):
        packageserver.cache_of(settings, "")
    interface = interfaces.find(settings.interface)
    subnets.of(settings, interface.network)
    found = ports.problems(ports.wanted(settings, settings.address or interface.address))
    for error in found[1:]:
        typer.echo(f"ironwake: {error}", err=True)
    if found:
        raise found[0]


async def run(session: Session, log: Log) -> None:
    """Supervise until cancelled."""
    from ironwake_runtime import packagecache
    from ironwake_runtime.supervise import Child, supervise

    names = list(_SERVICES)
    if session.settings.dhcp_mode == "off":
        names.remove("dhcp")
    children = [
        Child(
            name,
            (sys.executable, "-m", f"ironwake_{name}"),
            ready=(lambda: _answering(session)) if name == "controller" else None,
        )
        for name in names
    ]
    if packagecache.is_ours(session.settings):
        children.append(Child("packages", (sys.executable, "-m", "ironwake_runtime.packageserver")))
    elif session.settings.packages == "auto":
        log.info("no package cache: nginx is not installed; machines ask the mirrors themselves")
    await supervise(children, log)


async def _answering(session: Session) -> None:
    """Wait until the controller takes connections, and say where it is."""
    from ironwake_runtime.ports import endpoint

    host, port = endpoint(session.settings.controller_listen, "IRONWAKE_CONTROLLER_LISTEN")
    connected = False
    while not connected:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            connected = True
        await asyncio.sleep(0.1)
    say(f"API: {session.settings.controller_url}  token: {session.token_path}")
    sys.stdout.flush()
