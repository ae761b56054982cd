"""`ironwake doctor`: looks at everything that usually goes wrong, and says how to mend it."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path

import typer

from ironwake.errors import BrokenError, IronwakeError
from ironwake_cli import checks
from ironwake_cli.output import JSON, as_json, say
from ironwake_cli.session import Session, of

_DOCKER_PATIENCE = 10.0  # seconds
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 208  # struct timex on 64-bit Linux


def doctor(
    context: typer.Context,
    seconds: float = typer.Option(5, "--seconds", help="how long to listen for other servers"),
    before_start: bool = typer.Option(
        False, "--before-start", help="only what would keep the services from starting"
    ),
    json: bool = JSON,
) -> None:
    """Check this host and its network; each fault comes with its fix. Exit code 1 with faults.

    Example:

        sudo IRONWAKE_INTERFACE=eth0 ironwake doctor
    """
    if before_start:
        _before_start(of(context))
        return
    found = []
    for finding in examine(of(context), seconds):
        found.append(finding)
        if not json:
            say(f"{finding.grade:<8} {finding.says}")
            if finding.fix:
                say(f"{'':<8} fix: {finding.fix}")
    if json:
        as_json([asdict(finding) for finding in found])
    if any(finding.grade is checks.Grade.FAULT for finding in found):
        raise typer.Exit(1)


def _before_start(session: Session) -> None:
    """Raise what would keep the services from starting: the interface, busy ports."""
    from ironwake_cli import serve
    from ironwake_runtime import interfaces

    address = session.settings.address or interfaces.find(session.settings.interface).address
    if _ours_already(session, address):  # starting again, with some of us running
        say("the appliance runs, and has its ports")
        return
    serve.check(session)
    say("the interface is there, and all ports are free")


def _ours_already(session: Session, address: str) -> bool:
    """Whether the controller or the http service answers: then the busy ports are our own."""
    import httpx2

    settings = session.settings
    ours = (
        f"{settings.controller_url}/healthz",
        f"http://{address}:{settings.http_port}/grub/grub.cfg",
    )
    for url in ours:
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(url, timeout=5, trust_env=False).status_code == 200:
                return True
    return False


def examine(session: Session, seconds: float) -> Iterator[checks.Finding]:
    """All findings, as they are made."""
    try:
        settings = session.settings
    except IronwakeError as error:
        yield checks.fault("settings", error)
        return
    yield checks.fine("settings", "the settings are understood")
    yield from _network(session, seconds)
    controller = checks.attempt("controller", lambda: _controller(session))
    yield controller
    running = controller.grade is checks.Grade.OK
    yield from _ports(session, running)
    yield checks.attempt("artifacts", lambda: _artifacts(session))
    yield checks.secrets(settings.secrets)
    yield checks.room(settings.artifacts, shutil.disk_usage(_existing(settings.artifacts)).free)
    yield checks.docker(_docker_system())
    yield checks.clock(datetime.now(UTC), _synchronised())


def _network(session: Session, seconds: float) -> Iterator[checks.Finding]:
    from ironwake_runtime import interfaces

    settings = session.settings
    try:
        interface = interfaces.find(settings.interface)
    except IronwakeError as error:
        yield checks.fault("interface", error)
        return
    place = f"{interface.address}/{interface.prefix}"
    yield checks.fine("interface", f"machines are looked for on {interface.name} ({place})")
    yield checks.link(interface.name, *interfaces.link_of(interface.name))
    yield checks.attempt("neighbours", lambda: _neighbours(session, interface.network))
    try:
        from ironwake_dhcp.ask_foreign import ask

        answers = asyncio.run(ask(interface.name, seconds))
    except IronwakeError as error:  # only root may ask
        yield checks.Finding("boot servers", checks.Grade.WARNING, error.what, error.next_step)
        return
    except ModuleNotFoundError as error:  # a container has its own service's libraries only
        what = f"cannot listen for other boot servers here: there is no {error.name}"
        step = "run 'ironwake doctor' on the host"
        yield checks.Finding("boot servers", checks.Grade.WARNING, what, step)
        return
    # In server mode our own service answers, too.
    heard = [one for one in answers if one.address != (settings.address or interface.address)]
    meant = settings.dhcp_mode == "server" and settings.dhcp_beside
    yield checks.segment(heard, "beside" if meant else settings.dhcp_mode, interface.name)


def _neighbours(session: Session, own: IPv4Network) -> checks.Finding:
    from ironwake_runtime import neighbours, subnets

    near = (one for one in subnets.of(session.settings, own) if one.network.ip.overlaps(own))
    pools = sum(int(p.last) - int(p.first) + 1 for one in near for p in one.pools)
    machines = max(pools, _enrolled(session))
    return checks.neighbours(machines, neighbours.room(), neighbours.more_room(machines))


def _enrolled(session: Session) -> int:
    """How many machines there are; 0 where the controller does not tell."""
    with contextlib.suppress(IronwakeError):
        return sum(1 for _ in session.api.listing("machines", limit="500"))
    return 0


def _ports(session: Session, running: bool) -> Iterator[checks.Finding]:
    from ironwake_cli import ports
    from ironwake_runtime import interfaces

    settings = session.settings
    try:
        address = settings.address or interfaces.find(settings.interface).address
    except IronwakeError:  # said already
        return
    if running:
        yield checks.fine("ports", "the appliance runs, and has its ports")
        return
    problems = ports.problems(ports.wanted(settings, address))
    for error in problems:
        yield checks.fault("ports", error)
    if not problems:
        yield checks.fine("ports", "all ports are free for the appliance")


def _controller(session: Session) -> checks.Finding:
    import httpx2

    url = session.settings.controller_url
    try:
        status = httpx2.get(f"{url}/healthz", timeout=5, trust_env=False).status_code
    except httpx2.HTTPError as error:
        raise BrokenError(
            f"the controller at {url} does not answer: {error}",
            "start the appliance with: ironwake serve",
        ) from error
    if status != 200:
        raise BrokenError(
            f"what answers at {url} is not a healthy controller (status {status})",
            "read the log of 'ironwake serve', or see IRONWAKE_CONTROLLER_URL",
        )
    return checks.fine("controller", f"the controller answers at {url}")


def _artifacts(session: Session) -> checks.Finding:
    from ironwake.artifact import ramdisk_name
    from ironwake.firmware import Architecture
    from ironwake_runtime.artifacts import ArtifactStore

    settings = session.settings
    manifests = ArtifactStore(settings.artifacts).manifests()
    present = [manifest.name for manifest in manifests]
    # A site of ARM64 machines alone needs no other ramdisk than theirs.
    ramdisks = [ramdisk_name(settings.ramdisk, architecture) for architecture in Architecture]
    ramdisk = next((name for name in ramdisks if name in present), ramdisks[0])
    media = any(manifest.kind == "media" for manifest in manifests)
    return checks.artifacts(present, ("loaders", ramdisk), media)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _docker_system() -> str:
    """Docker's word for the system that it runs on; "" where there is none to ask."""
    if shutil.which("docker") is None:
        return ""
    try:
        done = subprocess.run(
            ["docker", "info", "--format", "{{.OperatingSystem}}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_DOCKER_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _synchronised() -> bool:
    """Whether the kernel believes that somebody keeps its clock right."""
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) != _TIME_ERROR)
