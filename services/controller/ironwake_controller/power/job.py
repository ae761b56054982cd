"""One piece of work for a remote driver, and the child process that does it.

The libraries that speak to BMCs keep threads and global state, look names up without a limit, and
wait for answers that come byte by byte. So each piece of work has a process of its own, and that
has no more than its time; what it says is text without the machine's secrets.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

from ironwake import wire
from ironwake.errors import BY_STATUS, BrokenError, InputError
from ironwake_controller.power import drivers
from ironwake_controller.power.driver import Operation, Outcome, PowerState
from ironwake_controller.safe import hide

SECONDS = 25.0  # for all that one piece of work needs
_LARGEST = 20_000  # characters of an answer


@dataclass(frozen=True)
class Job:
    """`operation` is None to start a machine that shall boot from the network, which may `cycle`.

    `settings` are plain, secrets among them: it goes through a pipe, and nowhere else.
    """

    driver: str
    settings: dict[str, Any] = field(repr=False)
    machine: str
    macs: tuple[str, ...]
    operation: Operation | None = None
    cycle: bool = False


@dataclass(frozen=True)
class Answer:
    """`status` is that of an IronwakeError, 0 where it went well."""

    message: str
    state: PowerState = PowerState.UNKNOWN
    status: int = 0
    next_step: str = ""
    where: str = ""


class Workers:
    """Starts the processes; `close` ends those that are at work."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def carry_out(self, job: Job) -> Outcome:
        """Wait until it is done, or its time is over; an IronwakeError says why it was not."""
        driver = drivers.find(job.driver)
        words = drivers.secret_words(driver, job.settings)
        user = str(job.settings.get("user", ""))
        answer = self._ask(job)
        message = hide(answer.message, words, user)
        if not answer.status:
            return Outcome(message, answer.state)
        kind = BY_STATUS.get(answer.status, BrokenError)
        raise kind(message, hide(answer.next_step, words, user), answer.where)

    def _ask(self, job: Job) -> Answer:
        try:
            raw = self._run(wire.encode(job))
        except subprocess.TimeoutExpired:
            return Answer(
                f"the power driver {job.driver} of {job.machine} got no answer within "
                f"{self._seconds:g} s",
                status=BrokenError.status,
                next_step="see that what it talks to has power and a cable, and its address",
            )
        try:
            return wire.decode(Answer, raw[:_LARGEST])
        except (InputError, UnicodeDecodeError):
            return Answer(
                f"the power driver {job.driver} of {job.machine} ended before it was done",
                status=BrokenError.status,
                next_step="try again, and report it if it stays so",
            )

    def _run(self, request: bytes) -> bytes:
        child = self._start()
        try:
            raw, _ = child.communicate(request, self._seconds)
            return raw
        except BaseException:  # whatever it is, nobody will wait for the child any more
            child.kill()
            child.communicate()
            raise
        finally:
            with self._lock:
                self._running.discard(child)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise BrokenError("the controller stops", "try again when it is back")
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "ironwake_controller.power"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # libraries warn there, with what they were given
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},  # our settings are not its business
                cwd="/",
            )
            self._running.add(child)
            return child

    def close(self) -> None:
        """End all that runs; nothing begins any more."""
        with self._lock:
            self._closed = True
            for child in self._running:
                with contextlib.suppress(OSError):
                    child.kill()
