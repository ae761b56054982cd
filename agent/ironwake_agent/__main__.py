"""The agent's start: reads the kernel command line, builds what it works with, and reports the end.

It never repeats an installation by itself: after a failure it stays at its message.

What an order is not for is not imported: the machine's start waits for each module.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ironwake import routes
from ironwake.errors import BrokenError, IronwakeError
from ironwake.order import Order
from ironwake_agent import (
    client,
    cmdline,
    commands,
    console,
    ending,
    facts,
    network,
    order,
    probe,
    tools,
)
from ironwake_agent.cmdline import Boot
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.console import Console
from ironwake_agent.ending import Ending, Ways
from ironwake_agent.install import Hands, install
from ironwake_agent.network import Lease
from ironwake_agent.order import NothingToDoError
from ironwake_agent.patience import Patience
from ironwake_agent.report import CancelledError, Reporter

_NETWORK_PATIENCE = 180.0  # spanning tree takes 50 s, a slow DHCP relay more
_ORDER_PATIENCE = 600.0
_LAST_WORD_PATIENCE = 1800.0
_TELLING_PATIENCE = 10.0  # where a machine that shall go on waits for being heard
_READING_TIME = 10.0  # seconds for a person to read why the machine restarts


def main() -> None:
    """Carry the order out, and leave; exits with another code than 0 where a person has to look."""
    screen = Console(console.active())
    try:
        boot = cmdline.parse(Path("/proc/cmdline").read_text())
        work(boot, screen, commands.run)
    except Exception as error:  # noqa: BLE001 - a person reads the screen, whatever it was
        trouble = understood(error)
        screen.say(f"stopped: {trouble}")
        sys.exit(trouble.exit_code)


def work(boot: Boot, screen: Console, run: Runner) -> None:
    """From the network to the restart."""
    lease = network.bring_up(run, boot.mac, Patience(_NETWORK_PATIENCE), screen.say, Path("/"))
    screen.say(f"{lease.interface} has {lease.address}; asking {boot.url}")
    headers = {"Content-Type": "application/json"}
    reporter = Reporter(lambda body: client.request("POST", boot.callbacks, body, headers))
    ways = Ways(run)
    try:
        with reported(reporter, screen, run):
            _send_facts(reporter, run)
            task = _order(boot, screen)
            order.check_machine(task, facts.cards().values())
            if tools.are_needed(task):
                tools.bring(boot.tools, screen.say)
            patient = commands.watched(run, reporter.alive)
            end = carry_out(Hands(patient, reporter, screen.say, boot.consoles), task, lease)
    except NothingToDoError as error:
        screen.say(f"{error}; restarting, so that this machine boots its own disk")
        ways.pause(_READING_TIME)
        ending.restart(ways)
        return
    reporter.flush(_LAST_WORD_PATIENCE)
    screen.say(f"done: {end.words}")

    def tell(text: str) -> None:
        screen.say(text)
        reporter.log(text)
        with suppress(IronwakeError):
            reporter.flush(_TELLING_PATIENCE)

    ending.leave(ways, end, tell)


def carry_out(hands: Hands, task: Order, lease: Lease) -> Ending:
    """Whatever the order is for; the last word is given to the reporter."""
    if task.wipe:
        from ironwake_agent import wipe

        told = wipe.wipe(hands, task.wipe)
        hands.say(f"wiped: {told}; telling the appliance")
        hands.reporter.done(told)
        return ending.plain(task.finish)
    if task.capture:
        from ironwake_agent.capture import front

        told = front.capture(hands, task.capture)
        hands.say(f"captured: {told}; telling the appliance")
        hands.reporter.done(told)
        return ending.plain(task.finish)
    if task.rescue:
        from ironwake_agent import rescue

        return rescue.stay(hands, task, task.rescue, lease)
    end = install(hands, task, lease)
    hands.say("installed; telling the appliance")
    hands.reporter.installed(end.words)
    return end


def _send_facts(reporter: Reporter, run: Runner) -> None:
    found = probe.disks(run)
    reporter.facts(facts.gather(found), found)
    # Before the claim: they tell the appliance whether this is the machine that was enrolled. While
    # it does not take them, it has no order to give either, so waiting costs nothing.
    with suppress(BrokenError):
        reporter.flush(_ORDER_PATIENCE)


def _order(boot: Boot, screen: Console) -> Order:
    claim = {routes.BOOT_HEADER: facts.boot_id()}
    return order.fetch(
        lambda: client.request("GET", boot.order, headers=claim),
        Patience(_ORDER_PATIENCE),
        screen.say,
    )


@contextmanager
def reported(reporter: Reporter, screen: Console, run: Runner) -> Iterator[None]:
    """Tell the appliance about a failure before passing it on.

    Not about the two ends that it has told us itself: nothing to do, and cancelled.
    """
    try:
        yield
    except (NothingToDoError, CancelledError):
        raise
    except Exception as error:
        trouble = understood(error)
        screen.say(f"failed: {trouble}")
        if trouble is not error:
            screen.note("".join(traceback.format_exception(error)))
        screen.note(_kernel_words(run))
        reporter.log(screen.tail())  # before the end: an ended deployment takes nothing more
        reporter.failed(str(trouble))
        try:
            reporter.flush(_LAST_WORD_PATIENCE)
        except IronwakeError as silence:
            screen.say(str(silence))
        raise trouble from error


def understood(error: Exception) -> IronwakeError:
    """An error in words for a person; what we did not foresee is our mistake, and said to be."""
    if isinstance(error, IronwakeError):
        return error
    where = traceback.extract_tb(error.__traceback__)[-1]
    return BrokenError(
        f"the agent made a mistake: {type(error).__name__}: {error}"
        f" ({Path(where.filename).name}, line {where.lineno})",
        "report this",
    )


def _kernel_words(run: Runner) -> str:
    try:
        return "\n".join(run("dmesg").splitlines()[-40:])
    except CommandError as error:
        return str(error)


if __name__ == "__main__":
    main()
