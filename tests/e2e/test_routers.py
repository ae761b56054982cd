"""Routers that say something of booting, too, and machines behind them.

The router of all other tests puts its own address into siaddr, as most do.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwake_lab import MachineSpec, RouterSpec
from ironwake_testing.scene import DEPLOY_SECONDS, Scene, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]
FILE = "pxelinux.0"
MACHINE = node(1, firmware="uefi-secureboot")
PLAIN = node(1, firmware="uefi")
ROM = node(1, firmware="bios", disk_bytes=64 << 20)


def reach_order(there: Scene, machine: MachineSpec = MACHINE) -> list[dict[str, object]]:
    """Deploy it; the events up to the order. It is off then, and nothing more will come.

    Not before the router is known: a fast machine boots while that is still being asked.
    """
    there.enrol(machine)
    router = there.rack.spec.router
    assert router is not None
    there.appliance.wait_foreign(router.address)
    deployment = there.deploy(machine.name)
    wanted = {"answers", "installing"}
    there.appliance.wait_deployment(deployment, wanted, DEPLOY_SECONDS)
    there.rack.machine(machine.name).power_off()
    events = there.events(deployment)
    there.appliance.api("POST", f"/v1/deployments/{deployment}/cancel")
    return events


def services(events: list[dict[str, object]], kind: str) -> list[object]:
    """Who saw events of this kind."""
    details = [event["detail"] for event in events if event["kind"] == kind]
    return [detail["service"] for detail in details if isinstance(detail, dict)]


def test_a_router_that_fills_the_file_field(store: Path, tmp_path: Path) -> None:
    """By TFTP, shim asks the router for GRUB, in vain; the firmware goes on to HTTP Boot by itself.

    The machine gets its order that way, and its history names the router and that file.
    """
    router = RouterSpec(boot_file=FILE)
    with scene(tmp_path, MACHINE, router=router, artifacts=store) as there:
        events = reach_order(there)
    assert "http" in services(events, "loader")
    named = [str(e["message"]) for e in events if FILE in str(e["message"])]
    assert [message for message in named if router.address in message]


@pytest.mark.parametrize(
    "router",
    [
        RouterSpec(boot_file=FILE),
        pytest.param(RouterSpec(option_67=FILE), marks=pytest.mark.matrix),
    ],
    ids=["file field", "option 67"],
)
def test_ipxe_believes_us_first(store: Path, tmp_path: Path, router: RouterSpec) -> None:
    """Left to itself, the ROM would ask the router for that file, and give up."""
    with scene(tmp_path, ROM, router=router, artifacts=store) as there:
        there.enrol(ROM)
        deployment = there.deploy(ROM.name)
        there.wait_kernel(deployment)
        text = there.rack.machine(ROM.name).serial_text()
    assert "boot.ipxe" in text
    assert FILE not in text


@pytest.mark.matrix
def test_where_secure_boot_is_off_ipxe_goes_round_it(store: Path, tmp_path: Path) -> None:
    """First by HTTP Boot, with a warning; its agent tells that Secure Boot is off; then by iPXE."""
    router = RouterSpec(boot_file=FILE)
    with scene(tmp_path, PLAIN, router=router, artifacts=store) as there:
        first = reach_order(there, PLAIN)
        assert "http" in services(first, "loader")
        (warning,) = {e["message"] for e in first if e["kind"] == "warning"}
        assert f"{router.address} names a boot file of its own ({FILE})" in str(warning)
        second = there.deploy(PLAIN.name, erase=[PLAIN.disk_serial])
        there.succeed(second)
        events = there.events(second)
    loaders = {str(event["detail"]["file"]) for event in events if event["kind"] == "loader"}
    assert loaders == {"ipxe/snponly.efi"}
    scripts = [event["detail"]["script"] for event in events if event["kind"] == "script"]
    assert set(scripts) == {"boot.ipxe"}
    (told,) = {event["message"] for event in events if event["kind"] == "warning"}
    assert f"{router.address} names a boot file of its own ({FILE}): ipxe goes out" in told


@pytest.mark.matrix
@pytest.mark.parametrize(
    "router",
    [RouterSpec(option_67=FILE), RouterSpec(next_server="0.0.0.0")],
    ids=["option 67", "no siaddr"],
)
def test_routers_that_do_no_harm(store: Path, tmp_path: Path, router: RouterSpec) -> None:
    """A name in option 67 alone, or an empty siaddr: PXE goes on as ever, with no other way."""
    with scene(tmp_path, MACHINE, router=router, artifacts=store) as there:
        events = reach_order(there)
    assert set(services(events, "loader")) == {"tftp"}
