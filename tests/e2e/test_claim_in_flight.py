"""A claim under way when the controller dies, by a played machine: no firmware is needed."""

from __future__ import annotations

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ironwake.mac import Mac
from ironwake_lab.capture import Frame
from ironwake_testing.player import played
from ironwake_testing.scene import BOOT_SECONDS, node, scene

pytestmark = pytest.mark.root

MACHINE = node(1)


def _asks_for_order(frame: Frame) -> bool:
    return frame.source == Mac(MACHINE.mac).packed and b"GET /deployments/" in frame.data


def test_the_http_service_asks_the_next_controller(store: Path, tmp_path: Path) -> None:
    """The machine waits a moment, gets its order from the next controller, and gets it once."""
    with scene(tmp_path, MACHINE, artifacts=store) as there, ThreadPoolExecutor() as pool:
        there.enrol(MACHINE)
        deployment = there.deploy(MACHINE.name, wake=False)
        there.appliance.settle()
        script = there.appliance.api("GET", f"/v1/plan?mac={MACHINE.mac}")["script"]
        (token,) = re.findall(r"ironwake\.token=(\w+)", script)
        with played(there.rack, MACHINE.mac, "10.77.0.51") as player:
            # Stopped first, so that it cannot be faster than we are.
            os.kill(there.appliance.service_pid("controller"), signal.SIGSTOP)
            with there.rack.capture() as frames:
                order = pool.submit(player.http, f"deployments/{token}/order")
                frames.wait_for(_asks_for_order, BOOT_SECONDS)
                there.appliance.kill("controller")
            granted = order.result()
            again = player.http(f"deployments/{token}/order", "-H", "X-Ironwake-Boot: another")
        assert granted.status == 200
        assert deployment in granted.text
        assert again.status == 410
        claims = [event for event in there.events(deployment) if event["kind"] == "claimed"]
        assert len(claims) == 1
