"""The agent's start: reads the kernel command line, builds what it works with, and reports the end.

It never repeats an installation by itself: after a failure it stays at its message.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from ironwake.errors import GoneError, IronwakeError

from ironwake_agent import client, cmdline, commands, console, facts, network, order, probe
from ironwake_agent.cmdline import Boot
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.console import Console
from ironwake_agent.install import Hands, install
from ironwake_agent.patience import Patience
from ironwake_agent.report import CancelledError, Reporter

_NETWORK_PATIENCE = 180.0  # spanning tree takes 50 s, a slow DHCP relay more
_ORDER_PATIENCE = 600.0
_LAST_WORD_PATIENCE = 1800.0
_READING_TIME = 10.0  # seconds for a person to read why the machine restarts


def main() -> None:
    """Install, and restart; exits with 1 where a person has to look."""
    screen = Console(console.active())
    try:
        boot = cmdline.parse(Path("/proc/cmdline").read_text())
        work(boot, screen, commands.run)
    except IronwakeError as error:
        screen.say(f"stopped: {error}")
        sys.exit(error.exit_code)


def work(boot: Boot, screen: Console, run: Runner) -> None:
    """From the network to the restart."""
    lease = network.bring_up(run, boot.mac, Patience(_NETWORK_PATIENCE), screen.say, Path("/"))
    screen.say(f"{lease.interface} has {lease.address}; asking {boot.url}")
    headers = {"Content-Type": "application/json"}
    reporter = Reporter(lambda body: client.request("POST", boot.callbacks, body, headers))
    reporter.facts(facts.gather(probe.disks(run)))
    claim = {"X-Ironwake-Boot": facts.boot_id()}
    try:
        task = order.fetch(
            lambda: client.request("GET", boot.order, headers=claim),
            Patience(_ORDER_PATIENCE),
            screen.say,
        )
    except GoneError as error:
        screen.say(f"{error}; restarting, so that this machine boots its own disk")
        restart(run, _READING_TIME)
        return
    hands = Hands(run, reporter, screen.say, boot.consoles)
    _guarded(lambda: install(hands, task, lease), screen, run, reporter)
    screen.say("installed; telling the appliance")
    reporter.installed()
    reporter.flush(_LAST_WORD_PATIENCE)
    screen.say("done: restarting from the disk")
    restart(run, 0.0)


def _guarded(action: Callable[[], None], screen: Console, run: Runner, reporter: Reporter) -> None:
    """Do it, and report a failure before passing it on."""
    try:
        action()
    except CancelledError:
        raise
    except IronwakeError as error:
        _report_failure(error, screen, run, reporter)
        raise
    except Exception as error:  # noqa: BLE001 - a mistake of ours must not look like silence
        screen.note(traceback.format_exc())
        where = traceback.extract_tb(error.__traceback__)[-1]
        mistake = IronwakeError(
            f"the agent made a mistake: {type(error).__name__}: {error}"
            f" ({Path(where.filename).name}, line {where.lineno})",
            "report this",
        )
        _report_failure(mistake, screen, run, reporter)
        raise mistake from None


def _report_failure(error: IronwakeError, screen: Console, run: Runner, reporter: Reporter) -> None:
    screen.say(f"failed: {error}")
    try:
        screen.note("\n".join(run("dmesg").splitlines()[-40:]))
    except CommandError as trouble:
        screen.note(str(trouble))
    reporter.log(screen.tail())  # before the end: an ended deployment takes nothing more
    reporter.failed(str(error))
    try:
        reporter.flush(_LAST_WORD_PATIENCE)
    except IronwakeError as trouble:
        screen.say(str(trouble))


def restart(run: Runner, seconds: float) -> None:
    """Restart the machine; returns only where that does not work."""
    time.sleep(seconds)
    run("sync")
    run("busybox", "reboot", "-f")
    time.sleep(60)


if __name__ == "__main__":
    main()
