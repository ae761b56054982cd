"""What every service's `__main__` does the same way: settings, logs, signals, exit codes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import structlog

from ironwake.errors import BrokenError, IronwakeError
from ironwake_runtime import logs
from ironwake_runtime.settings import Settings, read

Log = structlog.stdlib.BoundLogger


def main(name: str, run: Callable[[Settings, Log], Awaitable[None]]) -> None:
    """Run a service until SIGTERM or SIGINT; exit 0 then, or the error's own code.

    `run` is cancelled to stop it. What a person must know stands on one line on standard error.
    """
    try:
        settings = read(os.environ)
        log = logs.set_up(settings, name)
        asyncio.run(_until_signal(run(settings, log)))
    except IronwakeError as error:
        print(f"ironwake {name}: {error}", file=sys.stderr)  # noqa: T201 (a person reads it)
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"ironwake {name}: {place}{error.strerror or error}", file=sys.stderr)  # noqa: T201 (a person reads it)
        raise SystemExit(BrokenError.exit_code) from None


async def _until_signal(work: Awaitable[None]) -> None:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return
