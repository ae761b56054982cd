"""What the machine does once its order is carried out: a boot, the new kernel, off, a shell."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ironwake.errors import BrokenError, RefusedError
from ironwake.profile import Finish
from ironwake_agent import kexec, shell
from ironwake_agent.commands import Runner

_WORDS = {
    Finish.REBOOT: "restarting",
    Finish.POWEROFF: "switching off",
    Finish.SHELL: "a shell is on the console",
}


@dataclass(frozen=True)
class Ending:
    """`finish` is what will be done, which is not always what was ordered; `words` tell it."""

    finish: Finish
    words: str


def prepare(finish: Finish, root: Path, call: kexec.Loader = kexec.file_load) -> Ending:
    """While the new system is still mounted at `root`: its kernel is loaded, where that is asked.

    What keeps it from that fails nothing: the disk boots, and so the machine restarts.
    """
    if finish is not Finish.KEXEC:
        return plain(finish)
    try:
        found = kexec.load(root, call)
    except (BrokenError, RefusedError) as error:
        return Ending(Finish.REBOOT, f"no kexec, restarting instead: {error.what}")
    return Ending(Finish.KEXEC, f"kexec: starting {found.kernel} without the firmware")


def plain(finish: Finish) -> Ending:
    """Any but kexec."""
    return Ending(finish, _WORDS[finish])


@dataclass(frozen=True)
class Ways:
    """Out of the ramdisk; each returns only where it did not work."""

    run: Runner
    start: Callable[[], None] = kexec.start
    shell: Callable[[], None] = shell.keep
    pause: Callable[[float], None] = time.sleep


def leave(ways: Ways, ending: Ending, tell: Callable[[str], None]) -> None:
    """Do it.

    :param tell: the person at the console and the appliance, where it became another way
    """
    match ending.finish:
        case Finish.SHELL:
            ways.shell()
        case Finish.POWEROFF:
            _busybox(ways, "poweroff")
        case Finish.KEXEC:
            ways.run("sync")
            try:
                ways.start()
            except OSError as error:
                tell(f"the loaded kernel did not start: {error.strerror or error}; restarting")
            restart(ways)
        case Finish.REBOOT:
            restart(ways)


def restart(ways: Ways) -> None:
    """By the firmware."""
    _busybox(ways, "reboot")


def _busybox(ways: Ways, what: str) -> None:
    ways.run("sync")
    ways.run("busybox", what, "-f")
    ways.pause(60)
