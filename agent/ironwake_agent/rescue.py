"""The rescue system: SSH and a shell, until a person ends it. Nothing is written to any disk."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from ironwake.errors import IronwakeError
from ironwake.order import Order, Rescue
from ironwake_agent import shell
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.ending import Ending
from ironwake_agent.install import Hands
from ironwake_agent.network import Lease
from ironwake_agent.order import NothingToDoError
from ironwake_agent.report import CancelledError

_BEAT = 30.0  # seconds between two signs of life; whoever ends it waits as long
_REPLY = 2.0  # seconds in which the appliance answers one
_STEP = "rescue"
_KEY = "run/dropbear.key"
_FINGERPRINT = re.compile(r"SHA256:\S+")


def stay(
    hands: Hands,
    order: Order,
    task: Rescue,
    lease: Lease,
    pause: Callable[[float], None] = time.sleep,
    open_shell: Callable[[], None] = shell.beside,
    root: Path = Path("/"),
) -> Ending:
    """Let people in, and say so; ends by NothingToDoError, once the appliance says that it is over.

    :param root: where accounts and keys of this ramdisk are written
    """
    told = _let_in(hands, task, lease, root)
    hands.say(f"rescue system of {order.machine}: {told}, and a shell here; reboot -f ends it")
    open_shell()
    reporter = hands.reporter
    try:
        while True:
            # The message stays the same, so that it is news once; each is a sign of life.
            reporter.work(_STEP, 50.0, f"{told}, and a shell on its console")
            pause(_REPLY)
            reporter.check()
            pause(_BEAT)
    except CancelledError:
        raise NothingToDoError("the rescue system was ended") from None


def _let_in(hands: Hands, task: Rescue, lease: Lease, root: Path) -> str:
    """Start the SSH server; words for how to get in. Without it there is still the console."""
    if not task.keys:
        return "no SSH, for nobody's key is known"
    try:
        fingerprint = start_ssh(hands.run, task.keys, root)
    except (IronwakeError, OSError) as error:
        return f"no SSH: {error}"
    return f"ssh root@{lease.address} (host key {fingerprint})"


def start_ssh(run: Runner, keys: tuple[str, ...], root: Path = Path("/")) -> str:
    """Let the owners of these keys in as root; the fingerprint of this boot's own host key."""
    home = root / "root/.ssh"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "authorized_keys").write_text("".join(f"{key}\n" for key in keys))
    (home / "authorized_keys").chmod(0o600)
    for name, text in (
        ("passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("group", "root:x:0:\n"),
        ("shells", "/bin/sh\n"),
    ):
        (root / "etc" / name).write_text(text)
    key = str(root / _KEY)
    found = _FINGERPRINT.search(run("dropbearkey", "-t", "ed25519", "-f", key))
    if not found:
        raise CommandError("dropbearkey made no host key")
    # By key only (-s); it goes to the background by itself.
    run("dropbear", "-s", "-r", key, "-P", str(root / "run/dropbear.pid"))
    return found[0]
