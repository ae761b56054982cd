"""The interface goes down, comes up, and has another address: machines are served again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ironwake_lab import network
from ironwake_lab.host import call
from ironwake_testing.player import played
from tests.resources.rig import LAN_SIDE, NODE, OURS, Client, Place, place

pytestmark = pytest.mark.root

OTHER_ADDRESS = "10.77.0.3"


def ip(there: Place, *words: str) -> None:
    """On the appliance's side."""
    call([*network.enter(there.rack.namespace), "ip", *words])


def serves(there: Place, client: Client, server: str) -> None:
    """All four answer at this address, and say that it is theirs."""
    player = dataclasses.replace(client.player, server=server)
    address = client.lease(server)
    player.take(address)
    assert f"http,{server}" in player.http(f"boot/{NODE}/grub.cfg").text
    assert player.tftp("ipxe/undionly.kpxe") is not None
    assert there.resolve("ironwake.ironwake.internal") == [server]


def test_down_and_up_and_another_address(tmp_path: Path) -> None:
    """While it is down nothing ends, and each service says so once."""
    with (
        place(tmp_path) as there,
        there.rack.capture() as frames,
        played(there.rack, NODE) as player,
    ):
        client = Client(player, frames, there.rack.spec.appliance_mac)
        assert there.enrol("node1", NODE).status == 201
        there.arm("node1")
        before = there.pids()
        serves(there, client, OURS)
        for times in (1, 2):
            ip(there, "link", "set", "br0", "down")
            there.wait_events("the interface is away", times)
            ip(there, "link", "set", "br0", "up")
            there.wait_events("the interface is back", times)
        serves(there, client, OURS)
        assert there.pids() == before
        assert sorted(there.events("the interface is away")) == sorted(2 * LAN_SIDE)

        ip(there, "address", "flush", "dev", "br0")
        there.wait_events("the interface is away", 3)
        assert there.pids() == before
        ip(there, "address", "add", f"{OTHER_ADDRESS}/24", "broadcast", "+", "dev", "br0")
        there.wait_events("listening", 2)
        there.appliance.settle()
        serves(there, client, OTHER_ADDRESS)
        assert there.pids()["controller"] == before["controller"]
        said = there.said()
    assert "Traceback" not in said
