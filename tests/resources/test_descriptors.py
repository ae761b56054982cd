"""The limit of open files: each service waits until some are free, says so once, and goes on."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ironwake_lab import network
from ironwake_testing.player import played
from tests.resources.rig import NODE, OURS, Client, Place, place

pytestmark = pytest.mark.root

_LEFT = 6  # descriptors that a service has left
_MANY = 30  # connections, or transfers
_TOLD = "out of descriptors"
_READ = b"\0\1ipxe/undionly.kpxe\0octet\0"
_LOOKS = 1000  # each takes as long as a process


@contextlib.contextmanager
def short_of_files(pid: int, left: int) -> Iterator[None]:
    """The process may open so many more files than it has now."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = max(int(one.name) for one in Path(f"/proc/{pid}/fd").iterdir()) + 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + left, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def connected(to: tuple[str, int]) -> Callable[[], socket.socket]:
    """Makes a connection that says nothing; it may have to wait in the listener's queue."""

    def make() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            made.connect(to)
        return made

    return make


def asking() -> socket.socket:
    """Asks for a file, and never acknowledges what comes."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.sendto(_READ, (OURS, 69))
    return made


@contextlib.contextmanager
def crowd(there: Place, namespace: str, make: Callable[[], socket.socket]) -> Iterator[None]:
    """Many of them, from when the service has said that it can't take them all."""
    before = there.said().count(_TOLD)
    with contextlib.ExitStack() as stack:
        for _ in range(_MANY):
            stack.enter_context(network.inside(namespace, make))
        for _ in range(_LOOKS):
            if there.said().count(_TOLD) > before:
                break
            there.rack.run(["true"])
        else:
            raise AssertionError(f"nothing was said: {there.said()}")
        yield


def test_each_service_at_its_limit(tmp_path: Path) -> None:
    """Connections and transfers beyond it wait; afterwards everybody is served again."""
    with (
        place(tmp_path) as there,
        there.rack.capture() as frames,
        played(there.rack, NODE) as player,
    ):
        client = Client(player, frames, there.rack.spec.appliance_mac)
        assert there.enrol("node1", NODE).status == 201
        there.arm("node1")
        before = there.pids()
        player.take(client.offered())
        inside = player.namespace
        with short_of_files(before["http"], _LEFT), crowd(there, inside, connected((OURS, 80))):
            pass
        assert player.http("grub/grub.cfg").status == 200
        with short_of_files(before["dns"], _LEFT), crowd(there, inside, connected((OURS, 53))):
            assert there.resolve("ironwake.ironwake.internal") == [OURS]
        assert there.resolve("ironwake.ironwake.internal") == [OURS]
        with short_of_files(before["tftp"], _LEFT), crowd(there, inside, asking):
            pass
        assert player.tftp("ipxe/undionly.kpxe") is not None
        api = connected(("127.0.0.1", 8080))
        with (
            short_of_files(before["controller"], _LEFT),
            crowd(there, there.rack.namespace, api),
        ):
            pass
        assert there.enrol("node2", "52:54:00:77:00:29").status == 201
        with short_of_files(before["dhcp"], 0):
            assert client.lease()
        assert there.pids() == before
        said = there.said()
    assert said.count(_TOLD) == 4, said
    assert "Traceback" not in said
