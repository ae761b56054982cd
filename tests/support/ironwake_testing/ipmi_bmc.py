"""A BMC that speaks IPMI: `ipmi_bmc.py LOG USER PASSWORD [RACK_FOLDER MACHINE]`; prints its port.

A process of its own, because pyghmi's server never ends and keeps its state in its module.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pyghmi.ipmi.bmc import Bmc

from ironwake_lab import Rack
from ironwake_testing.switched import Plug, Switched

_OPEN_REQUEST, _OPEN_RESPONSE = b"\x06\x10", b"\x06\x11"  # RMCP+, and the payload's type
_PAYLOAD, _AUTHENTICATION, _SHA1 = 16, 12, 1  # where they begin, and what is known
_NO_MATCHING_SUITE = 0x11


class RackBmc(Bmc):  # type: ignore[misc]
    """Switches one machine, and tells the log what it was told."""

    def __init__(self, accounts: dict[str, str], machine: Switched, log: Path) -> None:
        super().__init__(accounts, port=0, address="127.0.0.1")
        self.port = self.serversocket.getsockname()[1]  # by which pyghmi finds its sessions
        self._machine = machine
        self._log = log
        self._once = "default"

    def sessionless_data(self, data: bytes, sockaddr: Any) -> None:
        """Refuse SHA-256 as a BMC of cipher suite 3 does: pyghmi's answers SHA-1 unasked.

        Open Session Request and Response, IPMI 2.0 §13.17 and §13.18.
        """
        proposed = data[_PAYLOAD:]
        if data[4:6] == _OPEN_REQUEST and proposed[_AUTHENTICATION] != _SHA1:
            said = bytes([proposed[0], _NO_MATCHING_SUITE, 0, 0]) + proposed[4:8]
            head = data[:4] + _OPEN_RESPONSE + bytes(8) + len(said).to_bytes(2, "little")
            self.serversocket.sendto(head + said, sockaddr)
            return
        super().sessionless_data(data, sockaddr)

    def _tell(self, word: str) -> None:
        with self._log.open("a") as out:
            out.write(f"{word}\n")

    def get_power_state(self) -> str:
        return "on" if self._machine.is_on else "off"

    def power_on(self) -> None:
        self._tell(f"on:{self._once}")
        if self._once == "network":
            self._machine.boot_once_from_network()
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
