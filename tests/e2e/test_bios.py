"""A machine with a BIOS: no shim, no GRUB on the network, iPXE with a script by HTTP instead."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironwake_testing.scene import BOOT_SECONDS, Scene, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]
# Where GRUB's core goes on a GPT (GRUB manual, "BIOS installation").
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"


@pytest.fixture(scope="module")
def deployed(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, str]]:
    """One BIOS machine, enrolled, deployed, woken, and installed."""
    machine = node(1, firmware="bios")
    with scene(tmp_path_factory.mktemp("bios"), machine, artifacts=store) as there:
        there.enrol(machine)
        deployment = there.deploy(machine.name)
        there.succeed(deployment)
        yield there, deployment


def test_a_bios_machine_becomes_healthy(deployed: tuple[Scene, str]) -> None:
    """By archive, with the boot loader in the disk's first sectors: healthy in the same process."""
    there, deployment = deployed
    events = there.events(deployment)
    assert events[-1]["state"] == "succeeded"
    scripts = [event["detail"].get("script") for event in events if event["kind"] == "script"]
    assert set(scripts) == {"boot.ipxe"}
    assert there.appliance.api("GET", "/v1/machines/node1")["firmware"] == "bios-ipxe"
    machine = there.rack.machine("node1")
    assert machine.is_on
    with machine.disk.open("rb") as disk:
        assert disk.read(440).strip(b"\0")  # the boot code; the partition table follows it
    found = subprocess.run(["sfdisk", "--json", machine.disk], check=True, capture_output=True)
    table = json.loads(found.stdout)["partitiontable"]
    assert table["label"] == "gpt"
    assert BIOS_BOOT in [partition["type"] for partition in table["partitions"]]


def test_the_next_boot_comes_up_from_the_disk(deployed: tuple[Scene, str]) -> None:
    """One reset, network first in the boot order: not a packet of ours, and the login prompt."""
    there, deployment = deployed
    machine = there.rack.machine("node1")
    before, mark = there.events(deployment), machine.serial_mark()
    with there.rack.capture() as frames:
        machine.reset()
        machine.wait_serial("login:", BOOT_SECONDS, since=mark)
    assert "iPXE" in machine.serial_text(mark)
    assert not [frame for frame in there.ours(frames.all) if frame.udp_ports]
    assert there.events(deployment) == before
