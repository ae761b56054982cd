"""Routers that say something of booting, too: a machine with Secure Boot behind each.

The router of all other tests puts its own address into siaddr, as most do.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwake_lab import RouterSpec
from ironwake_testing.scene import DEPLOY_SECONDS, Scene, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]
FILE = "pxelinux.0"
MACHINE = node(1, firmware="uefi-secureboot")


def reach_order(there: Scene) -> list[dict[str, object]]:
    """Deploy it; the events up to the order."""
    there.enrol(MACHINE)
    deployment = there.deploy(MACHINE.name)
    wanted = {"answers", "installing"}
    there.appliance.wait_deployment(deployment, wanted, DEPLOY_SECONDS)
    there.rack.machine(MACHINE.name).power_off()
    return there.events(deployment)


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
