"""What it means that a machine's firmware is seen again, after the answers were handed out.

While it installs: a restart, expected or not. Once it is installed: the first boot, and, when boots
follow one another and the disk says nothing, firmware that does not find its disk: then the next
rung of the ladder (`ironwake.localboot`) is tried.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from ironwake import localboot
from ironwake.firmware import Firmware
from ironwake.lifecycle import Evidence, State
from ironwake.profile import Method
from ironwake_controller import ledger
from ironwake_controller.store import deployments, machines
from ironwake_controller.store.deployments import Record
from ironwake_controller.store.machines import Enrolled
from ironwake_controller.store.store import Tx

# Seconds within which firmware's requests are one boot: iPXE gives up after 16, edk2 tries PXE and
# HTTP, IPv4 and IPv6, for two minutes.
_ONE_BOOT = {False: 40.0, True: 150.0}
# Boots without a word from the disk, after which the next rung is tried.
_PATIENCE = 2


@dataclass
class _Seen:
    since: float
    boots: int = 1


class Boots:
    """Counts boots of installed machines; in memory, for a restart only delays the next rung.

    :param scale: multiplies how long one boot lasts
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}

    def restarted(self, tx: Tx, record: Record) -> None:
        """A restart between the claim and the end of the installation.

        Several requests of one boot count once: an installer says something between two restarts.
        """
        told = f"{record.callbacks}"
        last = ledger.last(tx, record, "rebooted")
        if last is not None and last.get("callbacks") == told:
            return
        profile = record.deployment.profile
        if profile.method is Method.RESCUE and record.state is State.WORKING:
            entry = ledger.Entry("succeeded", "it restarted, and has left the rescue system")
            ledger.move(tx, record, Evidence.DONE, entry)
            return
        number, expected = record.reboots + 1, record.deployment.expected_reboots
        at_work = "installs" if profile.method.installs else "works"
        message = f"it restarted while it {at_work} ({number} of {expected} expected)"
        deployments.change(tx, record, reboots=number)
        ledger.note(tx, record, "rebooted", message, callbacks=told, reboots=str(number))
        if number <= expected:
            return
        cause = f"it restarted {_times(number)} during its installation, {expected} expected"
        step = (
            "its installation was interrupted: read its console; if its installer restarts it on "
            "purpose, set expected_reboots in the profile; then deploy it again"
        )
        if not profile.method.installs:
            cause, step = "it restarted before it was done", "read its console; then order it again"
        stuck = {"stage": str(record.state), "cause": cause, "next_step": step}
        deployments.change(tx, record, stuck=stuck)
        ledger.note(tx, record, "stuck", f"{cause}; {step}", **stuck)

    def came_back(self, tx: Tx, there: Enrolled, record: Record, firmware: Firmware) -> None:
        """Firmware of an installed machine asks for a network boot, and the disk was silent."""
        if record.state is State.INSTALLED:
            with self._lock:
                self._seen[record.id] = _Seen(tx.steady)
            return
        with self._lock:
            seen = self._seen.setdefault(record.id, _Seen(tx.steady))
            if tx.steady - seen.since <= _ONE_BOOT[firmware.uefi] * self._scale:
                return
            seen.since = tx.steady
            seen.boots += 1
            if seen.boots <= _PATIENCE:
                return
            seen.boots = 1
        self._next_rung(tx, there, record, firmware)

    def _next_rung(self, tx: Tx, there: Enrolled, record: Record, firmware: Firmware) -> None:
        if there.machine.local_boot is not None:
            return  # a person's word
        memory = there.memory
        rung = localboot.after(memory.local_boot, firmware, memory.secure_boot)
        if rung is None:
            message = "no way to its disk has worked: none is left to try"
            ledger.news(tx, record, "local-boot", message, last=str(memory.local_boot))
            return
        machines.remember(tx, there, replace(memory, local_boot=rung, proved=False))
        message = f"it came back to the network, and not from its disk: trying {rung}"
        ledger.note(tx, record, "local-boot", message, rung=str(rung))

    def keep(self, live: set[str]) -> None:
        """Forget all others."""
        with self._lock:
            for name in self._seen.keys() - live:
                del self._seen[name]


def means_restart(record: Record) -> bool:
    """Whether firmware that is seen now restarts an installation."""
    return record.state in (State.ANSWERS, State.WORKING, State.INSTALLING)


def means_boot(record: Record) -> bool:
    """Whether firmware that is seen now boots an installed machine."""
    return record.state in (State.INSTALLED, State.FIRST_BOOT)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
