"""A person's own scripts, run with an end: in time, in what is kept of their output, in processes.

`pre` runs here, in the ramdisk, once the disk was chosen and before anything is written to one;
`post` in the new system, as its root, when all else is done.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ironwake.errors import BrokenError
from ironwake.firstboot import File
from ironwake_agent.commands import ENVIRONMENT, last_line, still_runs
from ironwake_agent.inside import inside
from ironwake_agent.network import Lease
from ironwake_agent.target import exists, write
from ironwake_agent.workplace import no_services, resolver

_KEPT: Final = 64 << 10  # octets of the output
_TOLD: Final = 20  # lines of it, of a script that failed
_TURN: Final = 0.2  # seconds until a script is seen to have ended that left a process behind
_READS: Final = 16  # at once: who writes without end is looked at, too
_ROUNDS: Final = 40
_POST: Final = "root/ironwake-post"
_LONGEST: Final = 3600.0


@dataclass(frozen=True)
class Ear:
    """Who hears of a script.

    :ivar say: gets its last lines, where it fails
    :ivar beat: called again and again while it runs, with words for that; raises where the
        deployment is over
    :ivar every: seconds between
    :ivar seconds: after which it is ended
    """

    say: Callable[[str], None]
    beat: Callable[[str], None]
    every: float = 20.0
    seconds: float = _LONGEST


def before(text: str, ear: Ear, folder: Path = Path("/root")) -> None:
    """Run `pre`; BrokenError where it fails: nothing is written then.

    :param folder: where its file is put, for as long as it runs
    """
    if not text:
        return
    ear.say("running the script pre")
    file = File("ironwake-pre", 0o700, text)
    write(folder, file)
    try:
        _run("pre", _words(text, f"{folder}/{file.path}"), ear)
    finally:
        (folder / file.path).unlink(missing_ok=True)


def after(text: str, target: Path, lease: Lease, ear: Ear) -> None:
    """Run `post`; BrokenError where it fails. What the kernel shows must be mounted.

    Whatever it started has ended then.
    """
    if not text:
        return
    ear.say("running the script post")
    write(target, File(_POST, 0o700, text))
    with ExitStack() as stack:
        stack.callback(inside(target, _POST).unlink, missing_ok=True)
        stack.callback(_end_all, target)
        stack.enter_context(resolver(target, lease))
        if exists(target, "usr/bin/apt-get"):
            stack.enter_context(no_services(target))
        _run("post", ("chroot", str(target), *_words(text, f"/{_POST}")), ear)


def _words(text: str, path: str) -> tuple[str, ...]:
    """By what its first line names, else by sh."""
    return (path,) if text.startswith("#!") else ("sh", path)


def _run(name: str, words: tuple[str, ...], ear: Ear) -> None:
    said = bytearray()
    try:
        with _started(name, words) as process:
            status = _watch(name, process, said, ear)
    except TimeoutError:
        _tell(name, said, ear)
        raise _failed(name, f"did not end within {ear.seconds:g} s") from None
    if status:
        _tell(name, said, ear)
        last = last_line(said.decode(errors="replace")) or "it said nothing"
        raise _failed(name, f"ended with {status}: {last}")


@contextmanager
def _started(name: str, words: tuple[str, ...]) -> Iterator[subprocess.Popen[bytes]]:
    """It, and what is left of its session, have ended afterwards."""
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,
        )
    except OSError as error:
        raise _failed(name, f"cannot be started: {error.strerror}") from None
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


def _watch(name: str, process: subprocess.Popen[bytes], said: bytearray, ear: Ear) -> int:
    """Its status; TimeoutError where it takes too long. `said` gets the end of its output."""
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    start = beaten = time.monotonic()
    os.set_blocking(process.stdout.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            status = process.poll()  # before the reading: then nothing that it said is missed
            if selector.get_map():
                selector.select(0 if status is not None else _TURN)
                if _read(process.stdout.fileno(), said):
                    selector.unregister(process.stdout)
            elif status is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_TURN)
            if status is not None:
                return status
            now = time.monotonic()
            if now - start > ear.seconds:
                raise TimeoutError
            if now - beaten > ear.every:
                beaten = now
                ear.beat(still_runs(f"the script {name}", now - start))


def _read(pipe: int, said: bytearray) -> bool:
    """Keep the end of what is there; whether that was all that will ever come."""
    for _ in range(_READS):
        try:
            chunk = os.read(pipe, 1 << 16)
        except BlockingIOError:
            return False
        if not chunk:
            return True
        said += chunk
        del said[:-_KEPT]
    return False


def _tell(name: str, said: bytearray, ear: Ear) -> None:
    """On the console, and so in the log that the appliance gets."""
    lines = said.decode(errors="replace").splitlines()[-_TOLD:]
    for line in lines:
        shown = "".join(letter if letter.isprintable() else "?" for letter in line)
        ear.say(f"{name}: {shown[:300]}")


def _end_all(target: Path) -> None:
    """End what runs in the new system still: its file systems shall be unmounted."""
    for _ in range(_ROUNDS):  # what is ended keeps its files for a moment
        found = list(_within(target))
        if not found:
            return
        for number in found:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        time.sleep(_TURN / 4)


def _within(target: Path) -> Iterator[int]:
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with suppress(OSError):  # it has ended meanwhile, or is the kernel's own
            root = str((process / "root").readlink())
            if root == str(target) or root.startswith(f"{target}/"):
                yield int(process.name)


def _failed(name: str, what: str) -> BrokenError:
    return BrokenError(
        f"the script {name} {what}",
        f"correct parameters.scripts.{name}; the end of what it said is in the log",
    )
