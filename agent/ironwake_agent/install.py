"""The installation, from an order to a disk that boots. Order of the steps is the safety:

look → choose → refuse or confirm → write → unpack → check the hash → configure → make bootable.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ironwake.names import KernelWord
from ironwake.order import Order
from ironwake_agent import bootloader, disks, facts, packages, prepare, probe, target, unpack
from ironwake_agent import order as orders
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.disks import Disk
from ironwake_agent.network import Lease
from ironwake_agent.patience import Patience
from ironwake_agent.prepare import Volumes
from ironwake_agent.report import Reporter
from ironwake_agent.steps import Step

TARGET = Path("/mnt/system")
_ARCHIVE_PATIENCE = 300.0  # seconds without a byte: an appliance that restarts is back by then
_PARTITION_PATIENCE = 20.0


@dataclass(frozen=True)
class Hands:
    """What an installation works with."""

    run: Runner
    reporter: Reporter
    say: Callable[[str], None]
    consoles: tuple[KernelWord, ...]


def install(hands: Hands, order: Order, lease: Lease) -> None:
    """Do what the order says, and unmount; every refusal comes before the first write.

    :raises IronwakeError: with what happened and the next step
    """
    say, reporter = hands.say, hands.reporter
    orders.check_machine(order, facts.cards().values())
    disk = select(probe.disks(hands.run), order)
    say(f"{order.machine} goes on disk {disk}")
    say("partitioning")
    reporter.step(Step.PARTITIONING, message=str(disk))
    volumes, dead = _partition(hands, disk)
    try:
        _fill(hands, order)
        _finish(hands, order, volumes, lease)
        bootloader.enter_firmware(hands.run, volumes, dead, order.boot_order, say)
    except BaseException:  # whatever it was, Ctrl-C included: unmount, and raise it again
        with suppress(CommandError):  # the first failure is the one to tell
            prepare.unmount(hands.run, TARGET, say)
        raise
    prepare.unmount(hands.run, TARGET, say)


def select(found: tuple[Disk, ...], order: Order) -> Disk:
    """The disk that the order means and allows; RefusedError otherwise."""
    match = order.disk
    if match.startswith("/dev/") and not any(match in disk.names for disk in found):
        match = os.path.realpath(match)
    disk = disks.choose(found, match, order.least_disk)
    disks.guard(disk, order.erase, order.least_disk)
    return disk


def _partition(hands: Hands, disk: Disk) -> tuple[Volumes, frozenset[str]]:
    run, reporter = hands.run, hands.reporter
    dead = prepare.old_partition_ids(run, disk) if disk.found else frozenset()
    prepare.claim(disk.path)
    # Once more, as late as possible: names of disks may move while devices still appear.
    disks.confirm(disk, probe.disks(run))
    reporter.check()
    name = disk.path.removeprefix("/dev/").replace("/", "!")
    prepare.wipe(run, disk, probe.partitions(Path("/sys/block") / name))
    volumes = prepare.divide(run, disk, facts.uefi(), Patience(_PARTITION_PATIENCE))
    hands.say("formatting")
    reporter.step(Step.FORMATTING)
    prepare.make_file_systems(run, volumes)
    prepare.mount_root(run, volumes, TARGET)
    return volumes, dead


def _fill(hands: Hands, order: Order) -> None:
    reporter = hands.reporter
    hands.say(f"unpacking {disks.size_text(order.archive.size)} from the appliance")
    reporter.step(Step.UNPACKING)

    def progress(fraction: float) -> None:
        reporter.check()
        reporter.step(Step.UNPACKING, fraction)

    chunks = unpack.fetch(order.archive, Patience(_ARCHIVE_PATIENCE), hands.say)
    unpack.unpack(order.archive, chunks, TARGET, progress)


def _finish(hands: Hands, order: Order, volumes: Volumes, lease: Lease) -> None:
    reporter = hands.reporter
    reporter.check()
    hands.say("configuring")
    reporter.step(Step.CONFIGURING)
    prepare.mount_rest(hands.run, volumes, TARGET)
    packages.install(hands.run, TARGET, order, lease)
    target.configure(TARGET, order, volumes, hands.consoles)
    packages.make_locale(hands.run, TARGET, order)
    reporter.check()
    hands.say("boot loader")
    reporter.step(Step.BOOT_LOADER)
    bootloader.install(hands.run, TARGET, volumes)
