"""Machines of the rack start, and real firmware speaks on its wire."""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from ironwake.errors import RefusedError
from ironwake.mac import Mac
from ironwake_lab import Card, MachineSpec, Rack, commands, qmp, wire
from ironwake_lab.capture import Frame
from ironwake_lab.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.qemu]

RaiseRack = Callable[..., Rack]
MAC = "52:54:00:77:00:10"
TWO = Mac("52:54:00:77:00:11").packed
MAGIC = b"\xff" * 6 + Mac(MAC).packed * 16
WAKE = f"""
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
    speaker.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    speaker.sendto({MAGIC!r}, ("10.77.0.255", 9))
"""
PATIENCE = 300  # seconds: a loaded host is slow, and a hanging one is found all the same


def dhcp_options(frame: Frame) -> dict[int, bytes]:
    """The options of a DHCP message of the client to the server; none for other frames."""
    if frame.ethertype != 0x0800 or frame.data[23] != 17 or frame.data[34:38] != b"\0D\0C":
        return {}
    rest, found = frame.data[42 + 240 :], {}
    while rest and rest[0] != 255:
        if rest[0] == 0:
            rest = rest[1:]
            continue
        found[rest[0]] = rest[2 : 2 + rest[1]]
        rest = rest[2 + rest[1] :]
    return found


def wait_attached(node: Machine) -> None:
    """Return once QEMU has somebody at the machine's serial line."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        lines = qmp.command(node.paths.qmp, "query-chardev")
        if not any(line["filename"].startswith("disconnected:") for line in lines):
            return
    raise AssertionError("nobody came to the serial line")


def wait_shown(screen: Path, text: bytes) -> None:
    """Return once the screen shows it."""
    end = time.monotonic() + PATIENCE
    while text not in screen.read_bytes():
        assert time.monotonic() < end, f"the screen never showed {text!r}"


def test_a_udp_magic_packet_starts_a_bios_machine(raise_rack: RaiseRack) -> None:
    """From the appliance's own place, by UDP: iPXE asks, and the router offers nothing to boot."""
    rack = raise_rack()
    node = rack.machine("node1")
    assert not node.is_on
    with rack.capture() as frames:
        rack.run([sys.executable, "-c", WAKE])
        discover = frames.wait_for(lambda one: 53 in dhcp_options(one), PATIENCE)
        offer = frames.wait_for(lambda one: one.data[34:38] == b"\0C\0D", PATIENCE)
    assert discover.source == Mac(MAC).packed
    assert dhcp_options(discover)[77] == b"iPXE"
    assert offer.source == Mac("52:54:00:77:00:01").packed
    assert offer.data[42 + 44 : 42 + 236] == bytes(192)  # no server name, no boot file
    assert bytes((3, 4, 10, 77, 0, 1)) in offer.data
    assert node.status() == "running"
    check_power(node.name, rack)


def check_power(name: str, rack: Rack) -> None:
    """Reset restarts the firmware in the same process; the plug ends it; the disk is blank."""
    node = rack.machine(name)
    node.wait_serial("iPXE", PATIENCE)
    before, mark = node.pid, node.serial_mark()
    assert commands.power(rack.spec.name, name, "reset", rack.directory) == "running"
    node.wait_serial("SeaBIOS", PATIENCE, since=mark)
    assert node.pid == before
    assert not node.power_on()
    assert node.power_off()
    assert not node.power_off()
    assert not node.disk.read_bytes().strip(b"\0")


def test_a_raw_magic_frame_starts_a_uefi_machine(raise_rack: RaiseRack) -> None:
    """From another port, under ethertype 0x0842, after noise: edk2's own PXE asks, as arch 7."""
    node1 = MachineSpec("node1", MAC, disk_bytes=1 << 20, memory_mb=512)
    node2 = MachineSpec("node2", "52:54:00:77:00:11", disk_bytes=1 << 20, memory_mb=512)
    rack = raise_rack(machines=(node1, node2))
    header = b"\xff" * 6 + bytes.fromhex("525400770099")
    with rack.capture() as frames:
        for noise in (b"\x08\x00" + bytes(9), b"\x08\x42" + MAGIC[:-1], b"\x81\x00" + MAGIC[6:]):
            wire.send_frame(rack.router_namespace, "eth0", header + noise)
        wire.send_frame(rack.router_namespace, "eth0", header + b"\x08\x42" + MAGIC)
        discover = frames.wait_for(lambda one: 53 in dhcp_options(one), PATIENCE)
    options = dhcp_options(discover)
    assert options[93] == b"\0\7"
    assert 77 not in options
    assert options[97][1:5] == bytes.fromhex(node1.uuid[:8])[::-1]
    assert not rack.machine("node2").is_on
    rack.down()
    assert not rack.directory.exists()


def test_another_board_and_a_card_without_a_cable(raise_rack: RaiseRack) -> None:
    """Only the second card speaks, its magic packet wakes, and it tells the new board's UUID."""
    second = "52:54:00:77:00:11"
    cards = (Card(MAC, cabled=False), Card(second))
    node1 = MachineSpec("node1", cards=cards, firmware="bios", disk_bytes=1 << 20, memory_mb=256)
    rack = raise_rack(machines=(node1,))
    node = rack.machine("node1")
    node.replace_board("0e2e0e2e-7700-4000-8000-525400770010")
    header = b"\xff" * 6 + bytes.fromhex("525400770099") + b"\x08\x42"
    with rack.capture() as frames:
        wire.send_frame(rack.router_namespace, "eth0", header + MAGIC)
        wire.send_frame(rack.router_namespace, "eth0", header + MAGIC.replace(MAGIC[6:12], TWO))
        discover = frames.wait_for(lambda one: 53 in dhcp_options(one), PATIENCE)
    assert discover.source == Mac(second).packed
    assert frames.sent_by(MAC) == []
    assert dhcp_options(discover)[97][1:] == uuid.UUID(node.spec.uuid).bytes_le
    assert node.spec.uuid != node1.uuid
    with pytest.raises(RefusedError, match="its board cannot be replaced"):
        node.replace_board(node1.uuid)
    assert (rack.directory / "button.log").read_text().count("switched on") == 1


def test_the_console_shows_and_leaves(raise_rack: RaiseRack, tmp_path: Path) -> None:
    """What the machine writes reaches the screen; Ctrl-] leaves, and the machine stays on."""
    rack = raise_rack()
    node = rack.machine("node1")
    node.power_on()
    node.wait_serial("iPXE", PATIENCE)  # SeaBIOS may hang when it is reset in its first moments
    shown = tmp_path / "screen"
    typed, keyboard = os.pipe()
    with shown.open("wb") as screen, os.fdopen(typed, "rb"), os.fdopen(keyboard, "wb") as keys:
        talk = threading.Thread(
            target=commands.converse, args=(node.paths.serial, typed, screen.fileno())
        )
        talk.start()
        wait_attached(node)  # QEMU shows nobody what was written before
        mark = node.serial_mark()
        node.reset()
        # Not iPXE: the boot before the reset may just be saying so.
        node.wait_serial("SeaBIOS", PATIENCE, since=mark)
        wait_shown(shown, b"SeaBIOS")
        keys.write(b"\x1d")
        keys.flush()
        talk.join()
    assert node.is_on
