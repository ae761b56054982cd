"""Carries out what a layout means here: the first module that writes. Mounts what it made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ironwake.errors import BrokenError, RefusedError
from ironwake.layout.model import Format
from ironwake.layout.work import Work
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.inside import inside
from ironwake_agent.patience import Patience


def claim(path: str) -> None:
    """Refuse a disk that somebody uses: mounted, or part of something assembled."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL))
    except OSError as error:
        raise RefusedError(
            f"disk {path} cannot be had for ourselves: {error.strerror}",
            "nothing else may use it: reset the machine and deploy again",
        ) from None


def dead(work: Work) -> frozenset[str]:
    """The GPT ids, lower case, of partitions that are about to go: boot entries point at them."""
    kept = {place.kept.uuid for one in work.disks for place in one.places if place.kept}
    gone = {part.uuid for one in work.disks for part in one.disk.parts}
    return frozenset(uuid for uuid in gone - kept if uuid)


def carry_out(
    run: Runner, work: Work, keys: Mapping[str, str], patience: Patience, check: Callable[[], None]
) -> None:
    """Divide, assemble, make file systems.

    :param keys: of encrypted volumes, by the names of their mappings
    :param patience: how long a new device may take to show up
    :param check: called before each command; may raise to stop
    """
    for command in work.commands:
        check()
        _await(command.awaits, patience)
        run(*command.words, stdin=keys[command.key] if command.key else command.stdin)


def mount(run: Runner, work: Work, target: Path) -> None:
    """All file systems of the new system, the root first."""
    for place in work.places:
        here = target.joinpath(*place.parts)
        here.mkdir(parents=True, exist_ok=True)
        options = ["noatime"]
        if place.subvolume:
            options.append(f"subvol={place.subvolume}")
        if place.format is Format.VFAT:
            options.append("umask=0077")
        run("mount", "-t", place.format, "-o", ",".join(options), place.device, str(here))


def mount_kernel(run: Runner, target: Path) -> None:
    """The kernel's views: what programs of the new system need."""
    for name in ("dev", "proc", "sys"):
        here = inside(target, name, follow=True)
        here.mkdir(exist_ok=True)
        run("mount", "--bind", f"/{name}", str(here))


def show_kernel(run: Runner, target: Path) -> None:
    """The same, where that was not done yet."""
    if not (target / "proc/self").exists():
        mount_kernel(run, target)


def with_kernel(run: Runner, target: Path) -> Runner:
    """The same runner, which mounts those before the first program of the new system: an archive
    on the usual layout runs none."""
    mounted = False

    def call(*words: str, stdin: str = "", timeout: float = 300.0) -> str:
        nonlocal mounted
        if words[0] == "chroot" and not mounted:
            show_kernel(run, target)
            mounted = True
        return run(*words, stdin=stdin, timeout=timeout)

    return call


def unmount(run: Runner, target: Path, say: Callable[[str], None]) -> None:
    """Bring everything to the disk; BrokenError where that fails."""
    run("sync")
    for place in _mounted(target):
        try:
            run("umount", place)
        except CommandError as error:
            say(str(error))
            run("umount", "-l", place)
    run("sync")


def _mounted(target: Path) -> Iterable[str]:
    """What is mounted at the target and below, the innermost first."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    places = [line.split()[1] for line in lines]
    own = str(target)
    return reversed([place for place in places if place == own or place.startswith(f"{own}/")])


def _await(devices: Iterable[str], patience: Patience) -> None:
    waiting = patience.start()
    while missing := [device for device in devices if not Path(device).exists()]:
        if not waiting.again():
            raise BrokenError(
                f"the kernel does not show {', '.join(missing)}",
                "something still uses the old partitions: reset the machine and deploy again",
            )
