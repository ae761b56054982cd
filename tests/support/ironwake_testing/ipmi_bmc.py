"""A BMC that speaks IPMI: `ipmi_bmc.py LOG USER PASSWORD [RACK_FOLDER MACHINE]`; prints its port.

A process of its own, because pyghmi's server never ends and keeps its state in its module.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyghmi.ipmi.bmc import Bmc

from ironwake_lab import Rack
from ironwake_testing.switched import Plug, Switched


class RackBmc(Bmc):  # type: ignore[misc]
    """Switches one machine, and tells the log what it was told."""

    def __init__(self, accounts: dict[str, str], machine: Switched, log: Path) -> None:
        super().__init__(accounts, port=0, address="127.0.0.1")
        self.port = self.serversocket.getsockname()[1]  # by which pyghmi finds its sessions
        self._machine = machine
        self._log = log
        self._once = "default"

    def _tell(self, word: str) -> None:
        with self._log.open("a") as out:
            out.write(f"{word}\n")

    def get_power_state(self) -> str:
        return "on" if self._machine.is_on else "off"

    def power_on(self) -> None:
        self._tell(f"on:{self._once}")
        self._once = "default"
        self._machine.power_on()

    def power_off(self) -> None:
        self._tell("off")
        self._machine.power_off()

    def power_reset(self) -> None:
        # `power_cycle` is left out, as by many a BMC: it is optional (IPMI 2.0 §28.3)
        self._tell("reset")
        self._machine.power_off()
        self.power_on()

    def get_boot_device(self) -> str:
        return self._once

    def set_boot_device(self, bootdevice: str) -> None:
        self._tell(f"once:{bootdevice}")
        self._once = bootdevice


def main(log: str, user: str, password: str, rack: str = "", machine: str = "") -> None:
    """Serve until killed."""
    switched = Rack.attach(Path(rack)).machine(machine) if rack else Plug()
    bmc = RackBmc({user: password}, switched, Path(log))
    print(bmc.port, flush=True)  # noqa: T201 (who started it reads it)
    bmc.listen()


if __name__ == "__main__":
    main(*sys.argv[1:])
