"""What every service's `__main__` does the same way: settings, logs, signals, exit codes."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable

import structlog

from ironwake.errors import BrokenError, IronwakeError
from ironwake_runtime import descriptors, logs
from ironwake_runtime.settings import Settings, read
from ironwake_runtime.shortage import Shortage

Log = structlog.stdlib.BoundLogger


def main(name: str, run: Callable[[Settings, Log], Awaitable[None]]) -> None:
    """Run a service until SIGTERM or SIGINT; exit 0 then, or the error's own code.

    `run` is cancelled to stop it. What a person must know stands on one line on standard error.
    """
    try:
        settings = read(os.environ)
        log = logs.set_up(settings, name)
        descriptors.take_all()
        asyncio.run(_until_signal(run(settings, log), Shortage(log, time.monotonic)))
    except IronwakeError as error:
        logs.errors().write(f"ironwake {name}: {error}\n")
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        logs.errors().write(f"ironwake {name}: {place}{error.strerror or error}\n")
        raise SystemExit(BrokenError.exit_code) from None


async def _until_signal(work: Awaitable[None], shortage: Shortage) -> None:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(shortage.handle)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return
