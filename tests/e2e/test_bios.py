"""A machine with a BIOS: no shim, no GRUB on the network, iPXE with a script by HTTP instead.

It has three network cards, and only the second one has a cable. Nobody has told which it is.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ironwake.mac import Mac
from ironwake_lab import Card
from ironwake_lab.capture import Capture
from ironwake_lab.machine import Machine
from ironwake_testing.scene import BOOT_SECONDS, DEPLOY_SECONDS, Scene, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]
# Where GRUB's core goes on a GPT (GRUB manual, "BIOS installation").
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
CABLED = "52:54:00:77:00:31"
MACHINE = node(
    3,
    mac="",
    firmware="bios",
    cards=(
        Card("52:54:00:77:00:30", cabled=False),
        Card(CABLED),
        Card("52:54:00:77:00:32", cabled=False),
    ),
)


@dataclass(frozen=True)
class Deployed:
    """It is installed and healthy.

    `network` is the configuration of its network, as it was installed; `frames` are those of the
    whole way.
    """

    there: Scene
    deployment: str
    network: str
    frames: Capture

    @property
    def machine(self) -> Machine:
        return self.there.rack.machine(MACHINE.name)

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.there.events(self.deployment)


@pytest.fixture(scope="module")
def deployed(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Enrolled with all of its cards, deployed, woken, and installed."""
    with scene(tmp_path_factory.mktemp("bios"), MACHINE, artifacts=store) as there:
        body = {"name": MACHINE.name, "macs": [card.mac for card in MACHINE.cards]}
        there.appliance.api("POST", "/v1/machines", body, expect=201)
        with there.rack.capture() as frames:
            deployment = there.deploy(MACHINE.name)
            # Its BIOS tries the first card in vain, at each start.
            there.appliance.wait_deployment(deployment, {"installed"}, 2 * DEPLOY_SECONDS)
            # Now, for nobody has mounted it: of a file system in use, debugfs may find nothing.
            disk = there.rack.machine(MACHINE.name).disk
            network = _file_of(disk, "/etc/systemd/network/10-ironwake.network")
            there.succeed(deployment)
        yield Deployed(there, deployment, network, frames)


def _partitions(disk: Path) -> list[dict[str, Any]]:
    found = subprocess.run(["sfdisk", "--json", disk], check=True, capture_output=True)
    table = json.loads(found.stdout)["partitiontable"]
    assert table["label"] == "gpt"
    partitions: list[dict[str, Any]] = table["partitions"]
    return partitions


def test_a_bios_machine_becomes_healthy(deployed: Deployed) -> None:
    """By archive, with the boot loader in the disk's first sectors: healthy in the same process."""
    scripts = [e["detail"].get("script") for e in deployed.events if e["kind"] == "script"]
    assert set(scripts) == {"boot.ipxe"}
    known = deployed.there.appliance.api("GET", f"/v1/machines/{MACHINE.name}")
    assert known["firmware"] == "bios-ipxe"
    assert deployed.machine.is_on
    with deployed.machine.disk.open("rb") as disk:
        assert disk.read(440).strip(b"\0")  # the boot code; the partition table follows it
    assert BIOS_BOOT in [one["type"] for one in _partitions(deployed.machine.disk)]


def test_it_is_woken_and_booted_by_the_card_with_the_cable(deployed: Deployed) -> None:
    """Magic packets go to all of them; one wakes it, and asks for everything."""
    ours = deployed.there.ours(deployed.frames.all)
    for card in MACHINE.cards:
        magic = b"\xff" * 6 + Mac(card.mac).packed * 16
        assert any(magic in frame.data for frame in ours)
        # A card without a cable says nothing.
        assert bool(deployed.frames.sent_by(card.mac)) is card.cabled
    asked = [e["detail"]["mac"] for e in deployed.events if e["kind"] in ("offered", "script")]
    assert set(asked) == {CABLED}


def test_the_card_with_the_cable_alone_is_set_up(deployed: Deployed) -> None:
    """By its address, for its name is another one with another kernel; it reported by that card."""
    assert re.findall("MACAddress=(.*)", deployed.network) == [CABLED]


@pytest.mark.deep
def test_the_next_boot_comes_up_from_the_disk(deployed: Deployed) -> None:
    """One reset, network first in the boot order: not a packet of ours, and the login prompt."""
    there, machine = deployed.there, deployed.machine
    before, mark = deployed.events, machine.serial_mark()
    with there.rack.capture() as frames:
        machine.reset()
        machine.wait_serial("login:", BOOT_SECONDS, since=mark)
    assert "iPXE" in machine.serial_text(mark)
    assert not [frame for frame in there.ours(frames.all) if frame.udp_ports]
    assert deployed.events == before


def _file_of(disk: Path, path: str) -> str:
    """A file of the root file system, the last partition of the disk, as debugfs reads it."""
    place = f"{disk}?offset={_partitions(disk)[-1]['start'] * 512}"
    read = ["debugfs", "-R", f"cat {path}", place]
    return subprocess.run(read, check=True, capture_output=True, text=True).stdout
