"""What the data plane saw becomes evidence, or a line of history, or nothing."""

from __future__ import annotations

from sqlalchemy import select

from ironwake.report import Observation, Observations, Seen
from ironwake_controller.store.schema import receipts
from tests.controller.appliance import CLIENT, MAC, Appliance

OTHER = "52:54:00:77:00:11"


def test_an_observation_counts_once(appliance: Appliance) -> None:
    """A batch that is sent again, because its reply was lost, changes nothing."""
    appliance.enrol()
    batch = Observations((Observation("dhcp-1-0", "dhcp", Seen.DHCP, MAC),))
    for _ in range(2):
        assert appliance.call("POST", "/internal/observations", batch).status_code == 204
    assert appliance.kinds().count("dhcp") == 1


def test_repeats_are_no_news(appliance: Appliance) -> None:
    """Firmware that asks ten times is one line; another file is another line."""
    appliance.enrol()
    appliance.deploy(wake=False)
    for _ in range(10):
        appliance.see(Seen.OFFERED, file="sb/shimx64.efi")
    appliance.see(Seen.LOADER, file="sb/shimx64.efi")
    appliance.see(Seen.LOADER, file="sb/grubx64.efi")
    appliance.see(Seen.LOADER, file="sb/grubx64.efi")
    news = [kind for kind in appliance.kinds() if kind in ("offered", "loader")]
    assert news == ["offered", "loader", "loader"]


def test_strangers_leave_no_trace(appliance: Appliance) -> None:
    """A sweep of made-up addresses grows no table and no history."""
    for number in range(20):
        appliance.see(Seen.DHCP, mac=f"52:54:00:99:00:{number:02x}", client=f"10.77.0.{number}")
    appliance.see(Seen.DHCP, mac="nonsense")
    assert appliance.history() == ()
    with appliance.house.store.read() as connection:
        assert connection.execute(select(receipts)).all() == []
    assert appliance.good("GET", "/v1/machines")["items"] == []


def test_addresses_are_learned_and_pass_on(appliance: Appliance) -> None:
    """An address belongs to the card that was seen with it last."""
    appliance.enrol()
    appliance.enrol("node2", OTHER)
    appliance.see(Seen.ADDRESS, client=CLIENT)
    assert [entry.address for entry in appliance.view().entries] == [CLIENT, ""]
    appliance.see(Seen.ADDRESS, mac=OTHER, client=CLIENT)
    assert [entry.address for entry in appliance.view().entries] == ["", CLIENT]


def test_ever_new_addresses_do_not_fill_the_history(appliance: Appliance) -> None:
    """Anyone can send packets with a machine's card in them, each with another address."""
    appliance.enrol()
    for number in range(120):
        appliance.see(Seen.ADDRESS, client=f"10.77.0.{number + 1}")
    assert appliance.kinds().count("address") == 50
    assert appliance.view().entries[0].address == "10.77.0.120"


def test_an_address_stands_for_its_machine(appliance: Appliance) -> None:
    """Where a service knows only the address, the deployment moves all the same."""
    appliance.enrol()
    appliance.deploy()
    appliance.see(Seen.ADDRESS, client=CLIENT)
    appliance.see(Seen.KERNEL, mac="", client=CLIENT, file="vmlinuz")
    assert appliance.state() == "kernel"
    appliance.see(Seen.LOADER, mac="", client="10.77.0.250")
    assert appliance.state() == "kernel"


def test_plain_dhcp_is_a_reboot_only_after_the_installation(appliance: Appliance) -> None:
    """Before it, a DHCP request without an offer says nothing about the deployment."""
    appliance.enrol()
    appliance.deploy()
    appliance.see(Seen.DHCP)
    assert appliance.state() == "armed"


def test_another_hardware_moves_nothing(appliance: Appliance) -> None:
    """The right card with a wrong UUID raises an alarm once, and is no evidence."""
    appliance.enrol(uuid="6d0c4a2e-0000-4000-8000-000000000001")
    appliance.deploy()
    for _ in range(3):
        appliance.see(Seen.OFFERED, uuid="6d0c4a2e-0000-4000-8000-000000000002")
    assert appliance.state() == "armed"
    assert appliance.kinds().count("alarm") == 1
    appliance.see(Seen.OFFERED, uuid="6D0C4A2E-0000-4000-8000-000000000001")
    assert appliance.state() == "offered"


def test_plan_digests_stand_in_the_history(appliance: Appliance) -> None:
    """The armed event and the offer name the plan that the dry run shows."""
    appliance.enrol()
    appliance.deploy()
    digest = appliance.good("GET", f"/v1/plan?mac={MAC}")["digest"]
    armed = next(event for event in appliance.history() if event.kind == "armed")
    assert armed.plan == digest
    appliance.see(Seen.OFFERED, plan=digest, file="sb/shimx64.efi")
    assert appliance.history()[-1].plan == digest


def test_huge_details_are_cut(appliance: Appliance) -> None:
    """What a stranger says about itself takes little room."""
    appliance.enrol()
    appliance.see(Seen.REFUSED, **{f"k{n}": "x" * 5000 for n in range(100)})
    detail = appliance.history()[-1].detail or {}
    assert len(detail) < 30
    assert max(len(str(value)) for value in detail.values()) <= 500
