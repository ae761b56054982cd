"""A shell on the machine's console, for whoever stands before it."""

from __future__ import annotations

import subprocess
import threading
import time

# cttyhack (busybox) finds the console's real device, so that Ctrl-C works in the shell.
_SHELL = ("setsid", "cttyhack", "sh")


def keep() -> None:
    """A shell, and another one when that was left; never returns."""
    while True:
        subprocess.run(_SHELL, check=False, cwd="/root")
        time.sleep(1.0)


def beside() -> None:
    """The same, while the agent goes on with its work."""
    threading.Thread(target=keep, name="shell", daemon=True).start()
