"""One boot of a machine whose way to the disk is pinned, network first in its boot order."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ironwake.localboot import Rung
from ironwake_lab.capture import Frame
from ironwake_testing.disks import BOOTED
from ironwake_testing.scene import BOOT_SECONDS, Scene

_CONTROL = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1b.")
SAID_WHY = "Ironwake: {} has no deployment; booting the local disk"


@dataclass(frozen=True)
class Boot:
    """What it wrote from power-on to the disk's own line, and what our side said meanwhile."""

    text: str
    said: list[Frame]

    @property
    def line(self) -> str:
        """The disk's own words."""
        return self.text[self.text.index(BOOTED) :].splitlines()[0]


def climb(there: Scene, name: str, rung: Rung) -> Boot:
    """Pin the rung, switch the machine on, and wait for its disk; the disk is as it was after."""
    machine = there.rack.machine(name)
    there.appliance.api("PATCH", f"/v1/machines/{name}", {"local_boot": rung})
    there.appliance.settle()
    machine.power_off()
    before, mark = machine.disk_sha256(), machine.serial_mark()
    with there.rack.capture() as frames:
        machine.power_on()
        machine.wait_serial(rf"{BOOTED}[^\r\n]*[\r\n]", BOOT_SECONDS, since=mark)
    text = _CONTROL.sub("", machine.serial_text(mark))
    machine.power_off()
    assert machine.disk_sha256() == before
    # A screen of 80 columns breaks a long reason anywhere.
    is_told = SAID_WHY.format(name) in text.replace("\r", "").replace("\n", "")
    assert is_told == bool(rung.loader), text
    return Boot(text, there.said(frames.all))
