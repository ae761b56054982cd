"""What must hold of an installation during which services were killed, whenever that was."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from ironwake.lifecycle import State
from ironwake_lab.machine import Machine

SERVICES = ("controller", "dhcp", "tftp", "dns", "http")

Event = dict[str, Any]


def claims(events: list[Event]) -> list[Event]:
    """How often the order was handed out to somebody new."""
    return [event for event in events if event["kind"] == "claimed"]


def writings(machine: Machine, since: int = 0) -> int:
    """How often the agent began to write to the disk, by what the machine itself said."""
    return len(re.findall(r"goes on disk /dev/", machine.serial_text(since)))


def assert_no_half_state(events: list[Event], state: Path) -> None:
    """States follow in their order, each entered once, and the database is sound."""
    order = list(State)
    states = [State(event["state"]) for event in events if event["state"]]
    assert [order.index(state) for state in states] == sorted(map(order.index, states))
    database = state / "ironwake.sqlite"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
