"""The shapes of an offer on real firmware: which of them it takes, and what is learned of that.

`direct` is what all other tests with real firmware boot by.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ironwake_lab.capture import Capture
from ironwake_testing.dhcp import DISCOVERY, options
from ironwake_testing.player import payload_of
from ironwake_testing.scene import BOOT_SECONDS, Scene, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]

EDK2 = node(1, firmware="uefi", disk_bytes=64 << 20)
IPXE = node(2, firmware="bios", disk_bytes=64 << 20)
NAMES = {EDK2.name: "uefi-amd64-pxe", IPXE.name: "bios-ipxe"}
_BOOT_SERVER = 4011
DIRECT = b"\x06\x01\x08\xff"
OTHER_SHAPE = 3  # offers, until it is another shape


def quirks(*rows: str) -> str:
    return "quirks:\n" + "".join(f"- {row}\n" for row in rows)


def arm(there: Scene, name: str) -> str:
    deployment = there.deploy(name, wake=False)
    there.appliance.settle()
    return deployment


def reach_kernel(there: Scene, name: str, deployment: str) -> list[dict[str, Any]]:
    """Wait until its loader has come to the kernel; it is off then."""
    events = there.appliance.wait_event(
        deployment, lambda event: event["kind"] == "kernel", BOOT_SECONDS
    )
    there.rack.machine(name).power_off()
    return events


def learned(there: Scene, name: str) -> dict[str, str]:
    found: dict[str, str] = there.appliance.api("GET", f"/v1/machines/{name}")["learned"][
        "personality"
    ]
    return found


def asked_at_4011(frames: Capture, mac: str) -> bool:
    return any((f.udp_ports or (0, 0))[1] == _BOOT_SERVER for f in frames.sent_by(mac))


def discoveries(there: Scene, frames: Capture) -> list[bytes]:
    """Option 43 of each of our OFFERs, "" where it has none."""
    offers = [payload_of(f) for f in there.ours(frames.all) if f.udp_ports == (67, 68)]
    return [options(offer).get(DISCOVERY, b"") for offer in offers]


@pytest.mark.parametrize(
    ("machine", "shape"),
    [(EDK2, "boot-server"), (EDK2, "menu"), (IPXE, "boot-server")],
    ids=["edk2-boot-server", "edk2-menu", "ipxe-boot-server"],
)
def test_pinned(store: Path, tmp_path: Path, machine: Any, shape: str) -> None:
    """A quirk pins it: the firmware asks port 4011, its loader finds its script; it is learned."""
    row = f"{{firmware: {NAMES[machine.name]}, personalities: [{shape}]}}"
    file = tmp_path / "quirks.yaml"
    file.write_text(quirks(row))
    settings = {"IRONWAKE_QUIRKS_FILE": str(file)}
    with scene(tmp_path, machine, settings=settings, artifacts=store) as there:
        there.enrol(machine)
        deployment = arm(there, machine.name)
        with there.rack.capture() as frames:
            there.rack.machine(machine.name).power_on()
            events = reach_kernel(there, machine.name, deployment)
        assert asked_at_4011(frames, machine.mac)
        offered = [e["detail"]["personality"] for e in events if e["kind"] == "offered"]
        assert set(offered) == {shape}
        assert learned(there, machine.name) == {NAMES[machine.name]: shape}
        assert shape in there.appliance.cli("machine", "show", machine.name).stdout


def test_the_next_boot_goes_on_with_the_next_shape(store: Path, tmp_path: Path) -> None:
    """Nothing gets to port 4011, so `boot-server` leads iPXE nowhere, and it gives that boot up.

    The machine's next start gets the next shape at once, and that one is learned.
    """
    with scene(tmp_path, IPXE, artifacts=store) as there:
        there.enrol(IPXE)
        pins = {"personalities": ["boot-server", "direct"]}
        there.appliance.api("PATCH", f"/v1/machines/{IPXE.name}", pins)
        closed = ["-p", "udp", "--dport", str(_BOOT_SERVER), "-j", "DROP"]
        there.rack.run(["iptables", "-I", "INPUT", *closed])
        deployment = arm(there, IPXE.name)
        machine = there.rack.machine(IPXE.name)
        with there.rack.capture() as frames:
            machine.power_on()
            machine.wait_serial("Booting from Hard Disk", BOOT_SECONDS)
            assert asked_at_4011(frames, IPXE.mac)
            machine.reset()
            reach_kernel(there, IPXE.name, deployment)
        assert discoveries(there, frames) == [b"", DIRECT]
        assert learned(there, IPXE.name) == {NAMES[IPXE.name]: "direct"}


@pytest.mark.deep
def test_within_one_boot(store: Path, tmp_path: Path) -> None:
    """A router that comes late: edk2 repeats itself, and two of each shape go out meanwhile.

    It boots as soon as it has an address, and what is learned is the shape that it took: the boot
    server's if it asked it.
    """
    with scene(tmp_path, EDK2, artifacts=store) as there:
        there.enrol(EDK2)
        deployment = arm(there, EDK2.name)
        there.rack.router.stop()
        with there.rack.capture() as frames:
            there.rack.machine(EDK2.name).power_on()
            frames.wait_for(lambda _: len(discoveries(there, frames)) == OTHER_SHAPE, BOOT_SECONDS)
            there.rack.router.start()
            reach_kernel(there, EDK2.name, deployment)
        found = discoveries(there, frames)
        assert found[:OTHER_SHAPE] == [DIRECT, DIRECT, b""]
        took = "boot-server" if asked_at_4011(frames, EDK2.mac) else "direct"
        assert learned(there, EDK2.name)[NAMES[EDK2.name]] == took
