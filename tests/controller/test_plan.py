"""The dry run says what the services will say."""

from __future__ import annotations

from pathlib import Path

from ironwake import wire
from ironwake.firmware import BY_NAME
from ironwake.ipv4 import Address, Range
from ironwake.lease import Lease, Leases
from ironwake.mac import Mac
from ironwake.parameters.model import SECRET_WORD
from ironwake.plan import BootPlan
from ironwake.report import Grant, Seen
from ironwake.subnet import Subnet
from ironwake.view import Index
from tests.controller.appliance import MAC, Appliance


def test_three_answers_and_their_reasons(appliance: Appliance) -> None:
    """Unknown: silence. Enrolled: its disk. Armed: a boot. Each says why."""
    plan = appliance.good("GET", f"/v1/plan?mac={MAC}")
    assert (plan["kind"], plan["machine"]) == ("silence", None)
    assert "booting the local disk" in plan["script"]
    appliance.enrol()
    assert appliance.good("GET", f"/v1/plan?mac={MAC}")["kind"] == "local"
    appliance.deploy()
    plan = appliance.good("GET", f"/v1/plan?mac={MAC}")
    assert (plan["kind"], plan["loader"]) == ("boot", "grub")
    assert plan["reason"]


def test_it_equals_what_is_sent(appliance: Appliance) -> None:
    """First file, script, digest and payload are those of the view and of the claim."""
    appliance.enrol()
    appliance.deploy()
    index = Index(appliance.view())
    for firmware in ("bios-pxe", "uefi-amd64-pxe", "uefi-amd64-http", "uefi-amd64-ipxe"):
        plan = appliance.good("GET", f"/v1/plan?mac={MAC}&firmware={firmware}")
        sent = index.resolve(Mac(MAC), BY_NAME[firmware])
        assert isinstance(sent, BootPlan)
        assert (plan["first_file"], plan["script"]) == (sent.led.first_file, sent.led.script)
        assert plan["digest"] == sent.led.digest
    token, health = appliance.tokens()
    grant = wire.decode(Grant, appliance.claim(token).content)
    shown = grant.text.replace(token, SECRET_WORD).replace(health, SECRET_WORD)
    assert (plan["payload_type"], plan["payload"]) == (grant.media_type, shown)
    after = appliance.good("GET", f"/v1/plan?mac={MAC}")
    assert (after["kind"], after["payload"]) == ("local", None)


def test_the_firmware_is_the_one_last_seen(appliance: Appliance) -> None:
    """Without a wish, the dry run goes by what the machine showed."""
    appliance.enrol()
    appliance.deploy()
    assert appliance.good("GET", f"/v1/plan?mac={MAC}")["firmware"] == "uefi-amd64-pxe"
    appliance.see(Seen.OFFERED, firmware="bios-pxe")
    plan = appliance.good("GET", f"/v1/plan?mac={MAC}")
    assert (plan["firmware"], plan["loader"]) == ("bios-pxe", "ipxe")


def test_server_mode_tells_what_its_addresses_come_with(tmp_path: Path) -> None:
    """The subnets, and what is known of a card's address: reserved, and had last."""
    pool = "10.77.0.100-10.77.0.199"
    appliance = Appliance(tmp_path, dhcp_mode="server", dhcp_pool=pool)
    try:
        (subnet,) = appliance.good("GET", "/v1/site")["subnets"]
        assert wire.load(Subnet, subnet).pools == (Range(pool),)
        appliance.enrol()
        plan = appliance.good("GET", f"/v1/plan?mac={MAC}")
        assert (plan["reserved"], plan["last_address"]) == (None, None)
        old, new = (
            Lease(Address(f"10.77.0.{last}"), MAC, "10.77.0.0/24", float(last))
            for last in (101, 102)
        )
        appliance.good("POST", "/internal/leases", Leases((new, old), 100.0))
        appliance.good("PATCH", "/v1/machines/node1", {"reservations": {MAC: "10.77.0.5"}})
        plan = appliance.good("GET", f"/v1/plan?mac={MAC}")
        assert (plan["reserved"], plan["last_address"]) == ("10.77.0.5", "10.77.0.102")
    finally:
        appliance.close()


def test_beside_another_server_addresses_are_its_own(appliance: Appliance) -> None:
    """A proxy gives none: nothing is said about them."""
    appliance.enrol(reservations={MAC: "10.77.0.5"})
    assert appliance.good("GET", "/v1/site")["subnets"] == []
    plan = appliance.good("GET", f"/v1/plan?mac={MAC}")
    assert (plan["reserved"], plan["last_address"]) == (None, None)


def test_wrong_questions_are_told(appliance: Appliance) -> None:
    """No MAC, a wrong one, or an unknown firmware: each names its field."""
    assert appliance.call("GET", "/v1/plan").json()["where"] == "mac"
    assert appliance.call("GET", "/v1/plan?mac=xyz").json()["where"] == "mac"
    reply = appliance.call("GET", f"/v1/plan?mac={MAC}&firmware=coreboot")
    assert "uefi-amd64-pxe" in reply.json()["next_step"]
