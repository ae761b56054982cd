"""Starting a machine that shall boot from the network, as far as its driver can."""

from __future__ import annotations

from typing import Any

from ironwake.errors import IronwakeError
from ironwake_controller.power.driver import Driver, Operation, Outcome, PowerState, Target


def start(driver: Driver, settings: Any, target: Target, cycle: bool) -> Outcome:
    """The next boot from the network, where it can; then on. What runs is left running.

    With `cycle`, what runs is restarted: a person said so. A BMC that can't choose the boot device
    does not end it, for most machines have the network first in their firmware.
    """
    able = driver.can(settings)
    said = []
    if Operation.BOOT_NETWORK in able:
        try:
            said.append(driver.carry_out(Operation.BOOT_NETWORK, settings, target).message)
        except IronwakeError as error:
            said.append(f"its next boot can't be chosen: {error.what}")
    state = PowerState.UNKNOWN
    if Operation.STATUS in able:
        state = driver.carry_out(Operation.STATUS, settings, target).state
    if cycle:
        deed = Operation.CYCLE
    elif state is PowerState.ON:
        name = target.name
        said.append(f"it is on, and stays so; restart it, or: ironwake power {name} cycle")
        return Outcome("; ".join(said), state)
    else:
        deed = Operation.ON
    said.append(driver.carry_out(deed, settings, target).message)
    return Outcome("; ".join(said), state)
