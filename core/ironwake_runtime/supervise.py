"""Several processes run as one: restarted when they die, stopped together, never left behind.

`Restarts` is the policy, pure, with the seconds that a child lived as an argument. `supervise`
handles the processes. Each child leads a process group of its own, so that Ctrl-C on a terminal
reaches the supervisor alone and the children are stopped in order; and each has the kernel kill it
when the supervisor dies in whatever way (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

import structlog

from ironwake.errors import BrokenError, GoneError, InputError, IronwakeError, RefusedError

_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds, the last repeated
_SOUND = 30.0  # seconds of life after which a death is taken as the first one again
_GRACE = 5.0  # seconds from SIGTERM to SIGKILL
_READY = 20.0  # seconds that a child may take to be ready before the next one starts anyway
_PR_SET_PDEATHSIG = 1

Ready = Callable[[], Coroutine[None, None, None]]


@dataclass(frozen=True)
class Child:
    """A process to keep running. `ready` returns once it works: the next one starts only then."""

    name: str
    command: tuple[str, ...]
    ready: Ready | None = None


@dataclass(frozen=True)
class Again:
    """Start it again, `pause` seconds from now."""

    pause: float


@dataclass(frozen=True)
class GiveUp:
    """Starting it again cannot help: stop everything, and say so with this error."""

    error: IronwakeError


class Restarts:
    """What to do when one child dies: one instance for each child.

    Wrong input (exit status 2) stays wrong, so it is never retried. A refusal (4), such as another
    controller on the same database, ends a first start; later it may be the trace of our own
    predecessor's death, and passes.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._deaths = 0

    def died(self, status: int, lived: float) -> Again | GiveUp:
        """Decide.

        :param status: exit status, or the negative number of the signal that killed it
        :param lived: seconds from its start to its end
        """
        first = self._deaths == 0
        if lived >= _SOUND:
            self._deaths = 0
        pause = _PAUSES[min(self._deaths, len(_PAUSES) - 1)]
        self._deaths += 1
        if status == InputError.exit_code or (first and status in _REFUSED and lived < _SOUND):
            return GiveUp(_error(self._name, status))
        return Again(pause)


_REFUSED = (RefusedError.exit_code, GoneError.exit_code)


def _error(name: str, status: int) -> IronwakeError:
    kind = InputError if status == InputError.exit_code else RefusedError
    return kind(
        f"the {name} service cannot run like this (exit status {status}), so all were stopped",
        f"its own message stands above, after 'ironwake {name}:'",
    )


def describe(status: int) -> str:
    """An exit status for people: "exit status 5", or "killed by SIGKILL"."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


async def supervise(
    children: Sequence[Child],
    log: structlog.stdlib.BoundLogger,
    grace: float = _GRACE,
) -> None:
    """Keep the children running, started in this order, until cancelled; then stop them all.

    :param grace: seconds from SIGTERM to SIGKILL when they are stopped
    :raises IronwakeError: when a child says that it can never run; all others are stopped then
    """
    try:
        async with asyncio.TaskGroup() as group:
            for child in children:
                group.create_task(_keep(child, log, grace))
                if child.ready is not None:
                    waiting = group.create_task(child.ready())
                    _, late = await asyncio.wait({waiting}, timeout=_READY)
                    if late:  # it stays awaited: who says "ready" may have more to say
                        log.warning("not ready yet, going on", child=child.name, seconds=_READY)
    except ExceptionGroup as several:
        # Two services that refuse the same setting say the same thing.
        raise several.exceptions[0] from None


async def _keep(
    child: Child,
    log: structlog.stdlib.BoundLogger,
    grace: float,
) -> None:
    restarts = Restarts(child.name)
    while True:
        began = time.monotonic()
        process = await _start(child)
        log.info("started", child=child.name, pid=process.pid)
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            await _stop(process, grace)
            log.info("stopped", child=child.name, how=describe(process.returncode or 0))
            raise
        # What it left behind may still hold its port.
        _signal_group(process.pid, signal.SIGKILL)
        verdict = restarts.died(status, time.monotonic() - began)
        if isinstance(verdict, GiveUp):
            raise verdict.error
        log.error("died", child=child.name, how=describe(status), restart_in=verdict.pause)
        await asyncio.sleep(verdict.pause)


async def _start(child: Child) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *child.command,
            stdin=asyncio.subprocess.DEVNULL,
            process_group=0,
            preexec_fn=die_with(os.getpid()),
        )
    except OSError as error:
        raise BrokenError(
            f"the {child.name} service cannot be started: {error.strerror or error}",
            "see whether Ironwake is installed completely",
        ) from error


def die_with(parent: int) -> Callable[[], None]:
    """For `preexec_fn`: the kernel kills the child when this process ends in whatever way."""
    libc = ctypes.CDLL(None, use_errno=True)  # loaded here: after fork only the call is left

    def call() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the kernel was told
            os._exit(1)

    return call


async def _stop(process: asyncio.subprocess.Process, grace: float) -> None:
    _signal_group(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), grace)
    _signal_group(process.pid, signal.SIGKILL)
    await process.wait()


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, number)
