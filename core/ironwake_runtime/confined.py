"""A foreign program that reads what a stranger wrote: a process with limits."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_READ = 64 << 10  # bytes of what it says that are looked at


@dataclass(frozen=True)
class Limits:
    """`seconds` in all, and `cpu` of processor; bytes of memory, and of each file that it writes;
    what it says is such a file."""

    seconds: float = 120
    cpu: int = 60
    memory: int = 1 << 30
    output: int = 16 << 20


def run(words: Sequence[str], folder: Path, limits: Limits) -> tuple[int, str]:
    """The status, negative where a signal or the time ended it, and the beginning of what it said.

    `folder` is the program's own, to work in; nothing of our environment goes along.
    """
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "HOME": str(folder),
        "TMPDIR": str(folder),
    }
    said = (folder / "said", folder / "complained")
    with contextlib.ExitStack() as stack:
        # Files and no pipes: what is written has a limit, and nobody waits for who holds an end.
        out, err = (stack.enter_context(path.open("w+b")) for path in said)
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            return 1, f"it cannot be started: {(error.strerror or str(error)).lower()}"
        try:
            _bound(process.pid, limits)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(limits.seconds)
        finally:
            # A person's Ctrl-C, too, reaches us alone: it has a session of its own.
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
        texts = [os.pread(one.fileno(), _READ, 0).decode("utf-8", "replace") for one in (out, err)]
    return status, "\n".join(texts)


def _bound(process: int, limits: Limits) -> None:
    # From outside, when it has just begun: it has not read the file yet, and nothing of ours runs
    # between fork and exec, where other threads' locks are held for ever.
    rows = (
        (resource.RLIMIT_CPU, limits.cpu),
        # Not its address space, of which Go's programs reserve much more than they use.
        (resource.RLIMIT_DATA, limits.memory),
        (resource.RLIMIT_FSIZE, limits.output),
        (resource.RLIMIT_CORE, 0),
    )
    with contextlib.suppress(ProcessLookupError):  # it is at its end already
        for kind, most in rows:
            _, hard = resource.prlimit(process, kind)
            if hard == resource.RLIM_INFINITY or most < hard:
                resource.prlimit(process, kind, (most, most))
