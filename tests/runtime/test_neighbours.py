"""Which card has an address: the kernel's own table, in a namespace where we write it."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironwake.mac import Mac
from ironwake_lab import network
from ironwake_runtime import neighbours

MAC = Mac("52:54:00:77:00:10")


@pytest.fixture
def namespace() -> Iterator[str]:
    """With two cards, `lan0` and `lan1`, on a cable between them."""
    name = f"iw-n{secrets.token_hex(4)}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        inside = [*network.enter(name), "ip"]
        for words in (
            "link add lan0 type veth peer name lan1",
            "address add 10.77.0.2/24 dev lan0",
            "link set lan0 up",
            "link set lan1 up",
            f"neigh add 10.77.0.100 lladdr {MAC} dev lan0",
        ):
            subprocess.run([*inside, *words.split()], check=True)
        yield name
    finally:
        network.remove(name)


@pytest.mark.root
def test_a_neighbour_is_known_on_its_interface(namespace: str) -> None:
    """Its card, as both ways say; nobody else's, and none on another interface."""

    def ask(device: str, address: str) -> Mac | None:
        return network.inside(namespace, lambda: neighbours.on(device)(address))

    assert ask("lan0", "10.77.0.100") == MAC
    assert ask("lan0", "10.77.0.101") is None
    assert ask("lan1", "10.77.0.100") is None


@pytest.mark.parametrize("address", ["", "nobody", "10.77.0.256", "fe80::1", "127.0.0.1"])
def test_what_has_no_card(address: str) -> None:
    """No address, one without a neighbour, an interface that is not there: nobody."""
    assert neighbours.on("lo")(address) is None
    assert neighbours.on("nope0")(address) is None


def test_how_many_neighbours_there_may_be(tmp_path: Path) -> None:
    """As the kernel tells, with the command that makes more room; a container may not tell."""
    limit = tmp_path / "gc_thresh3"
    assert neighbours.room(limit) is None
    limit.write_text("1024\n")
    assert neighbours.room(limit) == 1024
    assert neighbours.more_room(1000).endswith(
        "gc_thresh2=4000 net.ipv4.neigh.default.gc_thresh3=8000"
    )
