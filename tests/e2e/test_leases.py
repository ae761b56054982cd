"""The whole appliance as its network's DHCP server: a lease has its name, and becomes a promise."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ironwake_lab import network
from ironwake_lab.host import call
from ironwake_testing.scene import Scene, scene

pytestmark = pytest.mark.root

SERVER = {"IRONWAKE_DHCP_MODE": "server", "IRONWAKE_DHCP_POOL": "10.77.0.100-10.77.0.199"}
CARD = "02:77:00:00:00:aa"
# Asks our DNS, as any client would; prints the answers' data.
ASK = """
import sys
from dnslib import DNSRecord
asked = DNSRecord.question(sys.argv[1], sys.argv[2])
print(*[row.rdata for row in DNSRecord.parse(asked.send("10.77.0.2", timeout=20)).rr])
"""
_LOOKS = 100  # each of them takes a while


def ask(place: Scene, name: str, kind: str = "A") -> str:
    return place.rack.run([sys.executable, "-c", ASK, name, kind]).stdout.strip()


def client(place: Scene, folder: Path) -> str:
    """udhcpc on the far side of the rack's cable: the address that it got."""
    script = folder / "script"
    script.write_text('#!/bin/sh\n[ "$1" = bound ] && echo $ip > "$(dirname "$0")/ip"\nexit 0\n')
    script.chmod(0o755)
    words = [
        "udhcpc",
        "-i",
        "eth0",
        "-f",
        "-q",
        "-n",
        "-t",
        "60",
        "-T",
        "1",
        "-x",
        "hostname:Anna",
        "-s",
    ]
    call([*network.enter(place.rack.router_namespace), *words, str(script)])
    return (folder / "ip").read_text().strip()


def listed(place: Scene) -> list[dict[str, Any]]:
    """The leases that the command line shows, once there is one."""
    for _ in range(_LOOKS):
        found: list[dict[str, Any]] = json.loads(
            place.appliance.cli("lease", "list", "--json").stdout
        )
        if found:
            return found
    raise AssertionError("the controller hears of no lease")


def test_a_lease_is_a_name_and_becomes_a_reservation(tmp_path: Path) -> None:
    """DHCP, controller and DNS together: a stranger, then a machine, then a reserved address."""
    with scene(tmp_path, settings=SERVER, router=None) as place:
        door = [*network.enter(place.rack.router_namespace), "ip", "link", "set", "eth0"]
        call([*door, "address", CARD])
        address = client(place, tmp_path)
        (lease,) = listed(place)
        assert (lease["address"], lease["mac"], lease["state"]) == (address, CARD, "live")
        assert (lease["machine"], lease["hostname"]) == (None, "anna")
        reverse = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
        place.appliance.settle()
        assert ask(place, "anna.ironwake.internal") == address
        assert ask(place, reverse, "PTR") == "anna.ironwake.internal."

        place.appliance.cli("enroll", "node1", "--mac", CARD)
        place.appliance.settle()
        assert ask(place, "node1.ironwake.internal") == address
        assert ask(place, reverse, "PTR") == "node1.ironwake.internal."
        assert ask(place, "anna.ironwake.internal") == ""

        shown = place.appliance.cli("lease", "reserve", "--all", "--first", "10.77.0.10")
        assert "10.77.0.10" in shown.stdout
        machine = place.appliance.api("GET", "/v1/machines/node1")
        assert machine["reservations"] == {}
        place.appliance.cli("lease", "reserve", "--all", "--first", "10.77.0.10", "--yes")
        place.appliance.settle()
        assert client(place, tmp_path) == "10.77.0.10"
