"""The installation, from an order to a disk that boots. Order of the steps is the safety:

look → choose → refuse or confirm → write → unpack → check the hash → configure → make bootable.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ironwake.disk import Disk, confirm
from ironwake.layout.identity import Identity
from ironwake.layout.work import Target, Work, work
from ironwake.names import KernelWord
from ironwake.order import Archive, DiskImage, Order
from ironwake.sizes import size_text
from ironwake_agent import (
    bootloader,
    confinement,
    ending,
    facts,
    packages,
    prepare,
    probe,
    scripts,
    sources,
    stated,
    target,
    unlocking,
    unpack,
)
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.ending import Ending
from ironwake_agent.network import Lease
from ironwake_agent.patience import Patience
from ironwake_agent.report import Reporter
from ironwake_agent.steps import Step

TARGET = Path("/mnt/system")
_ARCHIVE_PATIENCE = 300.0  # seconds without a byte: an appliance that restarts is back by then
_DEVICE_PATIENCE = 20.0


@dataclass(frozen=True)
class Hands:
    """What an installation works with."""

    run: Runner
    reporter: Reporter
    say: Callable[[str], None]
    consoles: tuple[KernelWord, ...]


def install(hands: Hands, order: Order, lease: Lease) -> Ending:
    """Do what the order says, and unmount; every refusal comes before the first write.

    Gives what is ready to be done then.

    :raises IronwakeError: with what happened and the next step
    """
    say, reporter = hands.say, hands.reporter
    if order.image:
        return _copy(hands, order, order.image, lease)
    todo = plan(probe.disks(hands.run), order)
    chosen = "; ".join(str(one.disk) for one in todo.disks)
    say(f"{order.machine} goes on disk {chosen}")
    if order.scripts.pre:
        # Said first: whoever waits for a word of this machine shall wait for the script's end.
        reporter.step(Step.PARTITIONING, message="the script pre")
        scripts.before(order.scripts.pre, _ear(hands))
    say("partitioning")
    reporter.step(Step.PARTITIONING, message=chosen)
    try:
        _divide(hands, order, todo)
        _fill(hands, order)
        _finish(hands, order, todo, lease)
        bootloader.enter_firmware(hands.run, todo, order.boot_order, say)
        end = ending.prepare(order.finish, TARGET)
    except BaseException:  # whatever it was, Ctrl-C included: unmount, and raise it again
        with suppress(CommandError):  # the first failure is the one to tell
            prepare.unmount(hands.run, TARGET, say)
        raise
    prepare.unmount(hands.run, TARGET, say)
    return end


def _copy(hands: Hands, order: Order, image: DiskImage, lease: Lease) -> Ending:
    """The same with the image of a whole disk, which has partitions and a boot loader already."""
    from ironwake_agent.image import deploy  # an archive does not wait for these
    from ironwake_agent.image.fetch import Ways

    run, say, reporter = hands.run, hands.say, hands.reporter
    ends: list[Ending] = []

    def step(which: Step, fraction: float = 0.0) -> None:
        reporter.check()
        reporter.step(which, fraction)

    ways = Ways(Patience(_ARCHIVE_PATIENCE), say, lambda done: step(Step.UNPACKING, done))
    task = deploy.Task(
        *(run, say, step, lambda: probe.disks(run), _ear(hands)),
        *(order, image, lease, TARGET, facts.uefi()),
    )
    deploy.deploy(task, ways, lambda: ends.append(ending.prepare(order.finish, TARGET)))
    return ends[0]


def _ear(hands: Hands) -> scripts.Ear:
    """Who hears of a person's script, and ends it where the deployment is over."""

    def beat(words: str) -> None:
        hands.reporter.check()
        hands.reporter.alive(words)

    return scripts.Ear(hands.say, beat)


def plan(found: Sequence[Disk], order: Order) -> Work:
    """What the order's layout means on these disks; RefusedError where they do not allow it."""
    target = Target(
        tuple(found),
        facts.uefi(),
        os.uname().machine,
        Identity(order.deployment),
        order.erase,
        order.least_disk,
    )
    return work(order.layout, target)


def _divide(hands: Hands, order: Order, todo: Work) -> None:
    run, reporter = hands.run, hands.reporter
    for one in todo.disks:
        prepare.claim(one.disk.path)
    # Once more, as late as possible: names of disks may move while devices still appear.
    now = probe.disks(run)
    for one in todo.disks:
        confirm(one.disk, now)
    prepare.carry_out(run, todo, order.keys, Patience(_DEVICE_PATIENCE), reporter.check)
    reporter.step(Step.FORMATTING)
    prepare.mount(run, todo, TARGET)


def _fill(hands: Hands, order: Order) -> None:
    reporter, archive = hands.reporter, order.archive
    assert archive is not None  # noqa: S101 - an order is for one thing, and this is its way
    hands.say(f"unpacking {size_text(archive.size)} from the appliance")
    reporter.step(Step.UNPACKING)

    def progress(fraction: float) -> None:
        reporter.check()
        reporter.step(Step.UNPACKING, fraction)

    chunks = unpack.fetch(archive, Patience(_ARCHIVE_PATIENCE), hands.say)
    unpack.unpack(archive, chunks, TARGET, progress)


def _bring(hands: Hands, archive: Archive, folder: Path) -> None:
    chunks = unpack.fetch(archive, Patience(_ARCHIVE_PATIENCE), hands.say)
    unpack.unpack(archive, chunks, folder, lambda _: hands.reporter.check())


def _finish(hands: Hands, order: Order, todo: Work, lease: Lease) -> None:
    reporter, run = hands.reporter, prepare.with_kernel(hands.run, TARGET)
    reporter.check()
    hands.say("configuring")
    reporter.step(Step.CONFIGURING)
    configure(replace(hands, run=run), order, todo, lease, TARGET)
    reporter.check()
    hands.say("boot loader")
    reporter.step(Step.BOOT_LOADER)
    bootloader.install(run, TARGET, todo)


def configure(hands: Hands, order: Order, todo: Work, lease: Lease, root: Path) -> None:
    """Make what was unpacked at `root` all that the order says, but for its boot loader.

    :raises BrokenError: the system can't be told what was stated
    """
    run = hands.run
    sources.configure(run, root, order)
    packages.install(run, root, order, lease)
    target.configure(root, stated.with_words(root, order), todo, hands.consoles)
    stated.carry_out(root, order)
    packages.make_locale(run, root, order)
    packages.for_layout(run, root, order, lambda *it: _bring(hands, *it))
    unlocking.prepare(run, root, todo, order.keys)
    if order.scripts.post:
        hands.reporter.check()
        prepare.show_kernel(run, root)
        scripts.after(order.scripts.post, root, lease, _ear(hands))
    confinement.label(run, root, whole=True)
