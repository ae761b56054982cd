"""A rack comes, goes, and keeps to itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ironwake.errors import BrokenError, InputError, RefusedError, UnknownError
from ironwake.mac import Mac
from ironwake_lab import Rack, RackSpec, RouterSpec, commands, network, process, wire
from ironwake_testing.dhcp import readdressed, recorded
from ironwake_testing.player import played

pytestmark = pytest.mark.root

RaiseRack = Callable[..., Rack]
MakeSpec = Callable[..., RackSpec]
SAY_HELLO = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
    speaker.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    speaker.sendto(b"hello", ("10.77.0.255", 9))
"""


def left_over(rack: Rack) -> list[str]:
    """What still exists of a rack: namespaces, its directory, processes that name it."""
    found = [str(path) for path in network.NETNS.glob(f"{rack.namespace}*")]
    found += [str(rack.directory)] * rack.directory.exists()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:
            continue
        if str(rack.directory).encode() in words and not process.is_gone(int(entry.parts[2])):
            found.append(words.decode(errors="replace"))
    return found


def test_down_leaves_nothing(raise_rack: RaiseRack) -> None:
    """After `down` no namespace, process or file of the rack is there; twice does no harm."""
    rack = raise_rack()
    child = rack.popen(["sleep", "1000"])
    stray = subprocess.Popen(rack.inside(["sleep", "1000"]))
    assert left_over(rack)
    rack.down()
    assert left_over(rack) == []
    assert child.returncode is not None
    assert stray.wait() == -signal.SIGTERM
    rack.down()


def test_down_after_the_button_was_killed(raise_rack: RaiseRack) -> None:
    """A dead power button is no obstacle, and raising the rack again brings a new one."""
    rack = raise_rack()
    first = rack.button_pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert process.wait_gone(first, timeout=60)
    assert rack.button_pid is None
    again = Rack.up(rack.spec, rack.directory)
    assert again.button_pid not in (None, first)
    os.kill(again.button_pid or 0, signal.SIGKILL)
    rack.down()
    assert left_over(rack) == []


def test_up_is_idempotent(raise_rack: RaiseRack) -> None:
    """Raising the same rack again keeps what runs."""
    rack = raise_rack()
    again = Rack.up(rack.spec, rack.directory)
    assert again.button_pid == rack.button_pid
    assert again.spec == Rack.attach(rack.directory).spec == rack.spec


def test_up_refuses_another_rack_in_its_place(raise_rack: RaiseRack, tmp_path: Path) -> None:
    """Other contents under the same name, or a used directory, are refused; what is up stays up."""
    rack = raise_rack()
    with pytest.raises(RefusedError, match="with other contents"):
        Rack.up(RackSpec(rack.spec.name), rack.directory)
    with pytest.raises(RefusedError, match="exists already"):
        Rack.up(rack.spec, tmp_path / "elsewhere")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").touch()
    with pytest.raises(InputError, match="not empty"):
        Rack.up(RackSpec(f"{rack.spec.name}-b"), tmp_path / "mine")
    assert rack.button_pid
    assert (tmp_path / "mine" / "letter").exists()


def test_a_failed_up_leaves_nothing(make_spec: MakeSpec, tmp_path: Path) -> None:
    """If the router does not start, its own words are told and all is removed again."""
    spec = make_spec(router=RouterSpec(extra_lines=("no-such-setting",)))
    with pytest.raises(BrokenError, match="bad option"):
        Rack.up(spec, tmp_path / spec.name)
    assert left_over(Rack(spec, tmp_path / spec.name)) == []


def test_two_racks_side_by_side(raise_rack: RaiseRack) -> None:
    """Two racks with the same addresses and MACs do not hear each other."""
    one, other = raise_rack(), raise_rack()
    with one.capture() as heard, other.capture() as unheard:
        one.run([sys.executable, "-c", SAY_HELLO])
        heard.wait_for(lambda frame: frame.data.endswith(b"hello"), timeout=60)
    assert not [frame for frame in unheard if frame.data.endswith(b"hello")]
    other.down()
    assert one.button_pid
    assert one.router.is_on


def test_the_capture_tells_who_sent_what(raise_rack: RaiseRack, tmp_path: Path) -> None:
    """Frames are found by sender and receiver, whole, and are in the pcap file as well."""
    rack = raise_rack(router=None)
    sender, receiver = "52:54:00:77:00:99", "52:54:00:77:00:98"
    frame = Mac(receiver).packed + Mac(sender).packed + b"\x88\xb5" + bytes(range(200))
    with rack.capture() as frames:
        wire.send_frame(rack.router_namespace, "eth0", frame)
        frames.wait_for(lambda one: one.source == Mac(sender).packed, timeout=60)
    assert [one.data for one in frames.sent_by(sender)] == [frame]
    assert [one.length for one in frames.to_mac(receiver)] == [len(frame)]
    assert frames.sent_by(rack.spec.appliance_mac) == []
    assert frame in frames.pcap.read_bytes()
    assert frames.pcap.parent == rack.directory


def test_without_a_router_the_appliance_is_still_heard(raise_rack: RaiseRack) -> None:
    """A bridge with no DHCP server and no machine on still carries what the appliance sends."""
    rack = raise_rack(router=None)
    assert not rack.router.is_on
    with rack.capture() as frames:
        rack.run([sys.executable, "-c", SAY_HELLO])
        frames.wait_for(lambda frame: frame.data.endswith(b"hello"), timeout=60)
    assert len(frames.sent_by(rack.spec.appliance_mac)) == 1


def test_commands_name_what_is_missing(raise_rack: RaiseRack) -> None:
    """Unknown racks, machines and actions are refused by name, with what there is."""
    rack = raise_rack()
    name, where = rack.spec.name, rack.directory
    assert commands.power(name, "node1", "status", where) == "off"
    assert commands.exec_in(name, ["sh", "-c", "exit 7"], where) == 7
    with pytest.raises(UnknownError, match="it has: node1"):
        commands.power(name, "node9", "on", where)
    with pytest.raises(InputError, match="use one of: on, off"):
        commands.power(name, "node1", "explode", where)
    with pytest.raises(RefusedError, match="power it on first"):
        commands.power(name, "node1", "reset", where)
    with pytest.raises(UnknownError, match="no rack 'nowhere' is up"):
        commands.down("nowhere", where / "nowhere")
    commands.down(name, where)
    assert left_over(rack) == []


@pytest.mark.parametrize(
    ("router", "siaddr", "file", "option_67"),
    [
        (RouterSpec(), "0a4d0001", b"", b""),
        (RouterSpec(next_server="0.0.0.0"), "00000000", b"", b""),
        (RouterSpec(next_server="10.77.0.9"), "0a4d0009", b"", b""),
        (RouterSpec(boot_file="pxelinux.0"), "0a4d0001", b"pxelinux.0", b""),
        (RouterSpec(option_67="pxelinux.0"), "0a4d0001", b"", b"pxelinux.0"),
    ],
    ids=["usual", "no siaddr", "another siaddr", "a file", "an option"],
)
def test_what_a_router_says_of_booting(
    raise_rack: RaiseRack, router: RouterSpec, siaddr: str, file: bytes, option_67: bytes
) -> None:
    """Each kind of foreign router fills siaddr, file field and option 67 as its description says.

    Asked as edk2 does it, which wants option 67.
    """
    rack = raise_rack(router=router, machines=())
    mac = "52:54:00:77:00:10"
    with played(rack, mac, "10.77.0.50") as player, rack.capture() as frames:
        answer = player.answer(frames, readdressed(recorded("uefi"), mac, 1), router.mac)
    assert answer[20:24].hex() == siaddr
    assert answer[108:236].rstrip(b"\0") == file
    assert answer.count(b"pxelinux.0") == bool(file) + bool(option_67)
    assert (b"\x43" + bytes([len(option_67) + 1]) + option_67 in answer) == bool(option_67)
