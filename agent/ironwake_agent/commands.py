"""Running programs: one small interface, so that tests hold a recording stand-in."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Protocol

from ironwake.errors import BrokenError

ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
    # There is no udev that would make devices, or be waited for.
    "DM_DISABLE_UDEV": "1",
    "MDADM_NO_UDEV": "1",
}


class CommandError(BrokenError):
    """A program ended badly; the message has its last words."""


class Runner(Protocol):
    """Runs a program to its end."""

    def __call__(self, *words: str, stdin: str = "", timeout: float = 300.0) -> str:
        """Give what it printed.

        :param words: the program and its arguments; no shell reads them
        :param timeout: seconds until it is ended
        :raises CommandError: when it can't be started, ends with an error, or takes too long
        """


def run(*words: str, stdin: str = "", timeout: float = 300.0) -> str:
    """The real one."""
    name = program(words)
    try:
        done = subprocess.run(
            words,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout,
            env={**os.environ, **ENVIRONMENT},
        )
    except OSError as error:
        raise CommandError(f"{name} cannot be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"{name} did not end within {timeout:g} s") from None
    if done.returncode != 0:
        said = last_line(done.stderr) or last_line(done.stdout)
        raise CommandError(f"{name} ended with {done.returncode}: {said or 'it said nothing'}")
    return done.stdout


def watched(
    run: Runner,
    told: Callable[[str], None],
    every: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
) -> Runner:
    """The same runner; of a program that takes long it is told, again and again, that it still
    runs.

    :param told: called by another thread
    :param every: seconds between
    """

    def call(*words: str, stdin: str = "", timeout: float = 300.0) -> str:
        ended = threading.Event()
        start = clock()

        def watch() -> None:
            while not ended.wait(every):
                told(still_runs(program(words), clock() - start))

        watcher = threading.Thread(target=watch, name="watcher", daemon=True)
        watcher.start()
        try:
            return run(*words, stdin=stdin, timeout=timeout)
        finally:
            ended.set()
            watcher.join()

    return call


def still_runs(what: str, seconds: float) -> str:
    """With the whole minutes until now: the appliance shows no line twice, so that there is one for
    each minute, however often it is told.
    """
    minutes = int(seconds // 60)
    return f"{what} still runs, after {minutes} min" if minutes else f"{what} still runs"


def program(words: tuple[str, ...]) -> str:
    """The program's own name, also of one that runs in the new system."""
    inner = words[2] if words[0] == "chroot" else words[0]
    return inner.rpartition("/")[2]


# What tar ends with, whatever it was.
_EMPTY_WORDS = ("Error is not recoverable", "Exiting with failure status")


def last_line(text: str) -> str:
    """The last line that says something, 300 characters at most."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not any(word in line for word in _EMPTY_WORDS)] or lines
    return lines[-1][:300] if lines else ""
