"""A supervisor in a process of its own, as `ironwake serve` is: `supervised.py FOLDER NAME…`.

Each child is `child NAME` below: it opens FOLDER/NAME for writing (a named pipe: that blocks until
the test reads), writes its pid, and then does what its name says. A child that holds the pipe open
is alive: the test reads its end of file the moment that it is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import structlog

from ironwake.errors import IronwakeError
from ironwake_runtime.supervise import Child, supervise


def child(folder: Path, name: str) -> None:
    if name.startswith("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if name.startswith("parent") and os.fork() == 0:
        # The worker of that child: has the pipe, too, so its end comes only when both are gone.
        with (folder / name).open("w", encoding="ascii"):
            signal.pause()
    with (folder / name).open("w", encoding="ascii") as pipe:
        pipe.write(f"{os.getpid()}\n")
        pipe.flush()
        if name.startswith("wrong"):
            sys.exit(2)
        signal.pause()


async def supervisor(folder: Path, names: list[str]) -> None:
    command = (sys.executable, __file__, "--child", str(folder))
    children = [Child(name, (*command, name)) for name in names]
    task = asyncio.ensure_future(supervise(children, structlog.get_logger(), grace=0.5))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        child(Path(sys.argv[2]), sys.argv[3])
    else:
        try:
            asyncio.run(supervisor(Path(sys.argv[1]), sys.argv[2:]))
        except IronwakeError as error:
            sys.stderr.write(f"{error}\n")
            sys.exit(error.exit_code)
