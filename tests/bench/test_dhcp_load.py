"""The DHCP generator: it asks as firmware does, and counts what happened."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from ironwake.mac import Mac
from ironwake_bench import ground, load, peers
from ironwake_dhcp.packet import MessageType, parse
from ironwake_lab import Rack, network
from ironwake_testing.captures import CAPTURES, datagrams
from ironwake_testing.dhcp import options

pytestmark = pytest.mark.root

_FIRST, _COUNT = 0x00B0_0000, 10
_IPV4 = 0x0800
_NDI = 94  # RFC 4578 section 2.2


def listen(rack: Rack) -> socket.socket:
    """All IPv4 that comes to the appliance's side."""

    def made() -> socket.socket:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_IPV4))
        sock.bind(("br0", _IPV4))
        return sock

    sock = network.inside(rack.namespace, made)
    sock.settimeout(60)
    return sock


def test_every_answer_is_counted_once(tmp_path: Path) -> None:
    """Against an echo: nothing lost, nothing strange, as many sent as answered and outstanding."""
    with ground.bare() as rack:
        argv = (load.program("dhcp"), "echo", "br0")
        with peers.running(rack, argv, tmp_path / "log"):
            words = ("offer", "eth0", 1, 4, _FIRST, _COUNT)
            while not load.run(rack, "dhcp", *words)["answers"]:
                pass  # it has not begun yet
            seen = load.run(rack, "dhcp", *words)
    assert seen["answers"] > 0
    assert (seen["stray"], seen["sent"] - seen["lost"] - seen["answers"]) == (0, 4)
    assert 0 < seen["p50_us"] <= seen["p99_us"] <= seen["worst_us"]


def test_who_waits_in_vain_is_late() -> None:
    """Where nobody answers, the times are those of what was lost, and there is no answer."""
    with ground.bare() as rack:
        seen = load.run(rack, "dhcp", "offer", "eth0", 2, 4, _FIRST, _COUNT)
    assert seen["answers"] == 0
    assert seen["lost"] >= 4
    assert seen["p50_us"] >= 1_000_000


def test_it_asks_as_edk2_does() -> None:
    """Our own strict reader takes its DISCOVER for the one that was recorded, of another card."""
    raw, recorded = next(
        (item.payload, request)
        for item in datagrams(CAPTURES / "ovmfsb-pxe-shim.pcap")
        if (request := parse(item.payload)).message_type is MessageType.DISCOVER
    )
    with ground.bare() as rack, listen(rack) as sock:
        seen = load.run(rack, "dhcp", "ignore", "eth0", 1, 20, _FIRST, _COUNT)
        frames = [sock.recv(2000) for _ in range(20)]
    assert (seen["sent"], seen["answers"], seen["stray"]) == (20, 0, 0)
    asked = [parse(frame[42:]) for frame in frames]
    assert [one.mac for one in asked[:_COUNT]] == [
        Mac.from_bytes(b"\x52\x54" + number.to_bytes(4, "big"))
        for number in range(_FIRST, _FIRST + _COUNT)
    ]
    for one in asked:
        for field in ("broadcast", "parameters", "max_size", "vendor_class", "arch"):
            assert getattr(one, field) == getattr(recorded, field), field
        assert one.uuid is not None
        assert len(one.uuid) == 17
    assert len({one.xid for one in asked}) == 20
    assert all(options(frame[42:])[_NDI] == options(raw)[_NDI] for frame in frames)


@pytest.mark.parametrize("words", [(), ("offer", "lo"), ("offer", "lo", "0", "1", "1", "1")])
def test_wrong_words_are_refused(words: tuple[str, ...]) -> None:
    """Every limit is checked, and said."""
    done = subprocess.run([load.program("dhcp"), *words], capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr
