"""The matrix: each kind of firmware, beside a foreign DHCP server and with ours alone.

A cell is one machine that is driven to the agent's order, or all the way to `succeeded`. The cells
are data, here and nowhere else; `tests/e2e/test_matrix.py` runs them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from ironwake.errors import BrokenError
from ironwake_lab import MachineSpec
from ironwake_testing.scene import DEPLOY_SECONDS, Scene, node

PROXY, SERVER = "proxy", "server"
ORDER, SUCCEEDED = "order", "succeeded"
# What a deployment goes through: the evidence in its events, and how the line calls it.
HOPS = {
    "offered": "offered",
    "loader": "loader",
    "kernel": "kernel",
    "claimed": "order",
    "installed": "installed",
    "health": "healthy",
}


@dataclass(frozen=True)
class Cell:
    """`seen` is the row of `ironwake.firmware` that the machine must be known as in the end.

    :ivar machine: fields of `MachineSpec`; None for a machine that is played from its capture
    :ivar every_day: whether `make test` runs it in test_matrix.py
    """

    firmware: str
    mode: str
    seen: str
    machine: Mapping[str, Any] | None = field(hash=False)
    goal: str = ORDER
    every_day: bool = False

    @property
    def name(self) -> str:
        return f"{self.firmware}-{self.mode}"

    @property
    def secure_boot(self) -> bool:
        name = str(self.machine.get("firmware")) if self.machine else ""
        return name.endswith("-secureboot")

    @property
    def spec(self) -> MachineSpec:
        """The machine; its MAC says its place in the matrix, for those of one mode share a rack."""
        number = [cell.firmware for cell in CELLS if cell.mode == self.mode].index(self.firmware)
        return node(1 + number, **(self.machine or {}))


def _both(
    firmware: str,
    seen: str,
    machine: dict[str, Any] | None,
    goal: str = ORDER,
    every_day: tuple[str, ...] = (),
) -> tuple[Cell, Cell]:
    # Whatever is to succeed does so beside a foreign DHCP server.
    frozen = None if machine is None else MappingProxyType(machine)
    return (
        Cell(firmware, PROXY, seen, frozen, goal, PROXY in every_day),
        Cell(firmware, SERVER, seen, frozen, ORDER, SERVER in every_day),
    )


# Those that succeed have tests of their own, which `make test` runs: test_first_machine.py (uefi),
# test_disk_image.py (uefi-secureboot) and test_bios.py. The first one is played with the very MAC
# of its capture.
CELLS: tuple[Cell, ...] = (
    *_both("bios-pxe", "bios-ipxe", None, every_day=(PROXY, SERVER)),
    *_both("uefi", "uefi-amd64-pxe", {"firmware": "uefi"}, SUCCEEDED),
    *_both(
        "uefi-secureboot",
        "uefi-amd64-pxe",
        {"firmware": "uefi-secureboot"},
        SUCCEEDED,
    ),
    *_both(
        "uefi-http",
        "uefi-amd64-http",
        {"firmware": "uefi-secureboot", "network_boot": "http"},
        every_day=(SERVER,),
    ),
    *_both("uefi-ipxe", "uefi-amd64-ipxe", {"firmware": "uefi-ipxe"}),
    *_both("bios", "bios-ipxe", {"firmware": "bios"}, SUCCEEDED),
    # Its cell of every day is test_arm64.py.
    *_both("arm64", "uefi-arm64-pxe", {"firmware": "arm64"}),
    *_both("arm64-secureboot", "uefi-arm64-pxe", {"firmware": "arm64-secureboot"}),
)


def cells(mode: str) -> tuple[Cell, ...]:
    """Those of one mode: they share a rack, one after the other."""
    return tuple(cell for cell in CELLS if cell.mode == mode)


def settings(mode: str) -> dict[str, str]:
    """The appliance's, beyond those of every scene."""
    if mode == PROXY:
        return {}
    return {
        "IRONWAKE_DHCP_MODE": "server",
        "IRONWAKE_DHCP_POOL": "10.77.0.100-10.77.0.200",
        # Nobody is there: the agent needs an address, and nothing from beyond.
        "IRONWAKE_DHCP_ROUTER": "10.77.0.1",
    }


@dataclass(frozen=True)
class Journey:
    """How far a cell came. `seconds` of each hop are counted from the wake, or else the arming."""

    cell: Cell
    reached: str
    seconds: Mapping[str, float]

    @property
    def arrived(self) -> bool:
        return self.reached == self.cell.goal

    @property
    def line(self) -> str:
        hops = "  ".join(f"{hop} {self.seconds[hop]:.1f}" for hop in self.seconds)
        head = f"{self.cell.firmware:16} {self.cell.mode:7}"
        return f"{head} {'ok ' if self.arrived else 'BAD'} {self.reached:10} {hops}"

    @property
    def json(self) -> str:
        words = {"firmware": self.cell.firmware, "mode": self.cell.mode, "goal": self.cell.goal}
        return json.dumps({**words, "reached": self.reached, "seconds": dict(self.seconds)})


def journey(cell: Cell, events: list[dict[str, Any]]) -> Journey:
    """Read it out of a deployment's events."""
    first = next((e for kind in ("wake", "armed") for e in events if e["kind"] == kind), events[0])
    seconds: dict[str, float] = {}
    for event in events:
        hop = HOPS.get(event["evidence"])
        if hop is not None:
            seconds.setdefault(hop, round(_at(event) - _at(first), 1))
    state = str(events[-1]["state"])
    reached = ORDER if "order" in seconds and cell.goal == ORDER else state
    return Journey(cell, reached, seconds)


def _at(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["at"]).timestamp()


def drive(there: Scene, cell: Cell) -> tuple[Journey, list[dict[str, Any]]]:
    """Deploy the cell's machine, as far as its goal; it is off again at the end.

    Returns how far it came, which may be less, and the deployment's events.
    """
    spec = cell.spec
    there.enrol(spec)
    machine = there.rack.machine(spec.name)
    deployment = there.deploy(spec.name)
    states = {SUCCEEDED} if cell.goal == SUCCEEDED else {"answers", "installing"}
    try:
        there.appliance.wait_deployment(deployment, states, DEPLOY_SECONDS)
    except BrokenError:
        pass  # the events tell where it ended
    finally:
        machine.power_off()
    events = there.events(deployment)
    return journey(cell, events), events
